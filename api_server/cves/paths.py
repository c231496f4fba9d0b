"""The paths of CVEs, and the scope that their readers need."""

from api_server.http.tokens import Scope
from flows_platform.sources.nvd_cves.filters import Aspect

CVES = "/api/v1/cves"
CVE = f"{CVES}/{{id}}"

# What CVEs are counted by, at which path.
TOTALS = {
    f"{CVES}/severity": Aspect.SEVERITY,
    f"{CVES}/impact": Aspect.IMPACT,
    f"{CVES}/exploitability": Aspect.EXPLOITABILITY,
    f"{CVES}/attack-vectors": Aspect.ATTACK_VECTOR,
}

SCOPES = dict.fromkeys((CVES, *TOTALS, CVE), Scope.CVES_READ)
