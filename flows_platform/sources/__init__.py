"""One folder per source. Sources never import each other."""
