"""The streaming API: Starlette over a read-only sqlite database, in its own process. Never imports Dagster.

`api_server.app.create_app(config, features)` creates the application, `api_server.server.run` serves it.
"""
