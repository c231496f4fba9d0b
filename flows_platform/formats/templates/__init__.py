"""Blocks of records that provably repeat the layout of one record, read as columns."""
