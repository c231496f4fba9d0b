"""TODO flows_platform/formats/templates."""
