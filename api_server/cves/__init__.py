"""TODO api_server/cves."""
