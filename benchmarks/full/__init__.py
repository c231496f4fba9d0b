"""The whole data set once, from the raw file to the warehouse: `python -m benchmarks.full`."""
