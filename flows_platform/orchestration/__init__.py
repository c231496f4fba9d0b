"""TODO flows_platform/orchestration."""
