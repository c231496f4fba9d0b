"""TODO flows_platform/local."""
