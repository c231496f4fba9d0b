"""The API server: Starlette, in a process of its own. It never imports Dagster.

`api_server.app.create_app(config, features)` creates the application, `api_server.server.run` serves it.
"""
