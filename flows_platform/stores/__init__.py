"""Stores of objects that are written once, in a folder or a bucket. Independent of what the objects are."""
