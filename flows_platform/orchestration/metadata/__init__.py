"""TODO flows_platform/orchestration/metadata."""
