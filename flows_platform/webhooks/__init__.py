"""Webhooks: verifies who sent a delivery, parses its records and archives them. Independent of the HTTP server."""
