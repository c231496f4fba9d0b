"""Blocks that prove themselves copies of the first record and are read as columns."""
