"""Processes on this machine alone: supervised children, ports, the BigQuery emulator."""
