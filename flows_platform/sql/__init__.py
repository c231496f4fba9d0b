"""SQL databases, except the flow database: engines, their errors, sqlite's write-ahead mode."""
