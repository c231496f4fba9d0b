"""The paths, written down once: routes, OpenAPI and the page at `/` take them from here."""

from flows_platform.wire.formats import WireFormat

STREAM = "/api/v1/stream/flows"
LATEST = "/api/v1/flows/latest"
HEALTH = "/healthz"
OPENAPI = "/openapi.json"
INDEX = "/"

# Each stream with the formats it offers.
STREAMS = {
    STREAM: tuple(WireFormat),
    f"{STREAM}.json": (WireFormat.JSON,),
    f"{STREAM}.xml": (WireFormat.XML,),
}
