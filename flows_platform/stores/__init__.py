"""Stores of objects that are written once: a folder, or a bucket. Knows no alert and no server."""
