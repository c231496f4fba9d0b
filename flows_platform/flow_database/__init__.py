"""TODO flows_platform/flow_database."""
