"""TODO flows_platform/columns."""
