"""The streaming API: Starlette over a read-only sqlite database, in its own process. Never imports Dagster."""
