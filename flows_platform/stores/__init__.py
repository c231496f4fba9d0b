"""Stores of objects that are written once: a folder. Knows no alert and no HTTP."""
