"""TODO flows_platform/formats."""
