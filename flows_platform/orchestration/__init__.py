"""Dagster: a windowed table as assets, checks, jobs, schedules and sensors."""
