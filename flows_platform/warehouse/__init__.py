"""TODO flows_platform/warehouse."""
