"""The use case, without Dagster: fetch a window, publish it, reprocess its rejects, compare it."""
