"""The paths of flows, and the scope that their readers need."""

from api_server.http.tokens import Scope
from flows_platform.formats.protocol.names import WireFormat

STREAM = "/api/v1/stream/flows"
LATEST = "/api/v1/flows/latest"

# Every stream with the formats it offers.
STREAMS = {
    STREAM: tuple(WireFormat),
    f"{STREAM}.json": (WireFormat.JSON,),
    f"{STREAM}.xml": (WireFormat.XML,),
}

SCOPES = {**dict.fromkeys(STREAMS, Scope.FLOWS_READ), LATEST: Scope.STATUS_READ}
