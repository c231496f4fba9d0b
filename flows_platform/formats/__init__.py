"""Wire formats, one package per format. `encoders` and `decoders` choose one by its name."""
