"""What an asset's page shows: figures, charts, first rows, links to the cloud console."""
