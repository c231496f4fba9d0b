"""TODO flows_platform/pipeline."""
