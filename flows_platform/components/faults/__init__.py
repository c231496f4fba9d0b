"""Rules between the keys of a declaration, by subject."""
