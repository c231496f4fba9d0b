"""TODO flows_platform/formats/json."""
