"""One folder per source; sources never import each other."""
