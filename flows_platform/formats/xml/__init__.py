"""TODO flows_platform/formats/xml."""
