"""Webhooks: vendors post what happened, and the archive keeps it."""
