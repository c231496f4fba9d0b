"""Metadata for an asset's page: figures, charts, first rows, links to the cloud console."""
