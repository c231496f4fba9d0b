"""JSON documents and NDJSON lines."""
