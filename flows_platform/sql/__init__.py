"""SQL databases other than the flow database: engines, their errors, sqlite's write-ahead mode."""
