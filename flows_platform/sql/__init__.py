"""TODO flows_platform/sql."""
