"""TODO flows_platform/formats/protocol."""
