"""A time-windowed HTTP API into BigQuery, exactly.

Imports run one way: domain → wire, stores, fetch → resources, partitions, checks → sources → definitions.
"""
