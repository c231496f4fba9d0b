"""TODO flows_platform/cli/commands."""
