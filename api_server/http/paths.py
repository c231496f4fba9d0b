"""The paths that every server has."""

HEALTH = "/healthz"
OPENAPI = "/openapi.json"
INDEX = "/"
DOCS = "/docs"
