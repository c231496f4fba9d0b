"""TODO flows_platform/sources/lanl_flows/sample."""
