"""The commands that are more than one call (fetch, demo, dev, doctor), and how progress is shown."""
