"""TODO flows_platform/orchestration/automation."""
