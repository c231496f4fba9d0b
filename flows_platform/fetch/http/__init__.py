"""TODO flows_platform/fetch/http."""
