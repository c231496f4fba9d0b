"""From a window to verified record batches; knows nothing of any one source."""
