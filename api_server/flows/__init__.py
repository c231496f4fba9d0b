"""The flows endpoint: parameters, selection, streams."""
