"""The sqlite database of flows: cleaned lines, bulk load, checksums, reads."""
