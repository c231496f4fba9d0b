"""Wire formats, a package for each. `encoders` and `decoders` choose one by its name."""
