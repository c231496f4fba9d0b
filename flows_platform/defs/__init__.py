"""One folder a source, each with its `defs.yaml`. No code: what a file may say is `components/source.py`'s."""
