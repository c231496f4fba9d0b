"""TODO flows_platform/orchestration/notifications."""
