"""The endpoints that receive webhooks, and those that read their archive."""
