"""CSV documents and their dialects."""
