"""The streaming API: Starlette over a read-only sqlite database, in its own process. Never imports Dagster.

`api_server.app.create_app(config)` makes the application, `api_server.http.server.run(config, host, port)` serves it.
"""
