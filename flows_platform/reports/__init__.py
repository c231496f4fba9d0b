"""Reports: declared, typed, read-only queries over the warehouse's tables. Knows neither Dagster nor HTTP."""
