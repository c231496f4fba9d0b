"""Webhooks: who sent a delivery, what its records are, and how they are kept. Knows no HTTP server."""
