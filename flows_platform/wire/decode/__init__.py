"""Bytes to records, one module a format."""
