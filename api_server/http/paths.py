"""The paths, written down once: routes, OpenAPI and the page at `/` take them from here."""

from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.nvd_cves.filters import Aspect

STREAM = "/api/v1/stream/flows"
LATEST = "/api/v1/flows/latest"
CVES = "/api/v1/cves"
CVE = f"{CVES}/{{id}}"
HEALTH = "/healthz"
OPENAPI = "/openapi.json"
INDEX = "/"

# Each stream with the formats it offers.
STREAMS = {
    STREAM: tuple(WireFormat),
    f"{STREAM}.json": (WireFormat.JSON,),
    f"{STREAM}.xml": (WireFormat.XML,),
}

# What CVEs are counted by, at which path.
CVE_TOTALS = {
    f"{CVES}/severity": Aspect.SEVERITY,
    f"{CVES}/impact": Aspect.IMPACT,
    f"{CVES}/exploitability": Aspect.EXPLOITABILITY,
    f"{CVES}/attack-vectors": Aspect.ATTACK_VECTOR,
}
