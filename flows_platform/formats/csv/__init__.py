"""TODO flows_platform/formats/csv."""
