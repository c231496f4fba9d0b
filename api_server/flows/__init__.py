"""TODO api_server/flows."""
