"""The CVE endpoints."""
