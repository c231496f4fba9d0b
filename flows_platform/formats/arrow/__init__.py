"""TODO flows_platform/formats/arrow."""
