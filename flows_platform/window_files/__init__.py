"""TODO flows_platform/window_files."""
