"""What makes Dagster assets of any windowed API: the assets' factory, checks, metadata, automation. Knows no source."""
