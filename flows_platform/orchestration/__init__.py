"""Dagster: the assets, checks, jobs, schedule and sensors of a windowed table."""
