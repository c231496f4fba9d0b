"""TODO flows_platform/runtime."""
