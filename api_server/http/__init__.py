"""TODO api_server/http."""
