"""The paths of every server, written down once: routes, OpenAPI and the page at `/` take them from here."""

HEALTH = "/healthz"
OPENAPI = "/openapi.json"
INDEX = "/"
DOCS = "/docs"
