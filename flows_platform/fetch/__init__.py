"""Fetches a window from an API as verified record batches. Knows no particular source."""
