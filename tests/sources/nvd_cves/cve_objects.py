"""Made CVEs in the shape of NVD's API 2.0: one by hand, many by Hypothesis. No tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from flows_platform.sources.nvd_cves.cve_id import id_of

type Cve = dict[str, Any]

START = datetime(2024, 1, 1, tzinfo=UTC)


def stamp(instant: datetime) -> str:
    """As NVD writes a time."""
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds")


def metric(version: str = "3.1", score: float = 9.8, kind: str = "Primary", **changes: Any) -> Cve:
    """A metric of 3.x."""
    data = {
        "version": version,
        "vectorString": f"CVSS:{version}/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "baseScore": score,
        "baseSeverity": "CRITICAL" if score >= 9 else "HIGH",
        "attackVector": "NETWORK",
        "attackComplexity": "LOW",
        "privilegesRequired": "NONE",
        "userInteraction": "NONE",
        "scope": "UNCHANGED",
        "confidentialityImpact": "HIGH",
        "integrityImpact": "HIGH",
        "availabilityImpact": "HIGH",
    }
    scores = {"exploitabilityScore": 3.9, "impactScore": 5.9}
    return {"source": "nvd@nist.gov", "type": kind, "cvssData": data | changes, **scores}


def cve(number: int, version: int = 0, **changes: Any) -> Cve:
    """CVE-2024-<number> in its state <version>, which its texts and rows name too."""
    said = f"v{version}"
    node = {"operator": "OR", "negate": False, "cpeMatch": [criterion(said), criterion(f"{said}-other")]}
    found: Cve = {
        "id": f"CVE-2024-{number:04}",
        "sourceIdentifier": "cve@example.org",
        "published": stamp(START + timedelta(days=number)),
        "lastModified": stamp(START + timedelta(days=number, seconds=version)),
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "es", "value": "Un error"}, {"lang": "en", "value": f"A flaw, {said}"}],
        "metrics": {"cvssMetricV31": [metric()]},
        "weaknesses": [
            {"source": said, "type": "Primary", "description": [{"lang": "en", "value": f"CWE-{version + 1}"}]}
        ],
        "configurations": [{"nodes": [node]}],
        "references": [{"url": f"https://example.org/{said}", "source": said, "tags": ["Patch"]}],
    }
    return found | changes


def criterion(product: str) -> Cve:
    return {
        "vulnerable": True,
        "criteria": f"cpe:2.3:a:example:{product}:*:*:*:*:*:*:*:*",
        "matchCriteriaId": "00000000-0000-0000-0000-000000000000",
        "versionEndExcluding": "1.2",
    }


TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "it's", '"', "a\0b", "\ud800", "é, ü", "%_\\", "line\r\nline", "🦀"])
)
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(stamp)  # noqa: DTZ001  NVD gives no zone
SCORES = st.one_of(st.integers(0, 10), st.integers(0, 100).map(lambda tenths: Decimal(tenths) / 10), st.floats(0, 10))
FLAGS = st.booleans()
KINDS = st.sampled_from(["Primary", "Secondary"])
LANGUAGES = st.fixed_dictionaries({"lang": st.sampled_from(["en", "es", "fr"]), "value": TEXTS})
WORDS = st.sampled_from(["NONE", "LOW", "HIGH", "NETWORK", "ADJACENT"])


def _metrics(versions: list[str], data: dict[str, st.SearchStrategy[Any]], **beside: Any) -> Any:
    inside = st.fixed_dictionaries({"version": st.sampled_from(versions)}, optional={"baseScore": SCORES, **data})
    scores = {"exploitabilityScore": SCORES, "impactScore": SCORES, **beside}
    return st.lists(
        st.fixed_dictionaries({"source": TEXTS, "type": KINDS, "cvssData": inside}, optional=scores), max_size=3
    )


SAME = ("vectorString", "baseSeverity", "attackVector", "attackComplexity", "privilegesRequired", "userInteraction")
V3 = dict.fromkeys((*SAME, "scope", "confidentialityImpact", "integrityImpact", "availabilityImpact"), WORDS)
V2 = dict.fromkeys(("vectorString", "accessVector", "accessComplexity", "authentication"), WORDS)
V4 = dict.fromkeys((*SAME, "attackRequirements", "vulnConfidentialityImpact"), WORDS)
METRICS = st.fixed_dictionaries(
    {},
    optional={
        "cvssMetricV40": _metrics(["4.0"], V4),
        "cvssMetricV31": _metrics(["3.1"], V3),
        "cvssMetricV30": _metrics(["3.0"], V3),
        "cvssMetricV2": _metrics(["2.0"], V2, baseSeverity=WORDS, userInteractionRequired=FLAGS),
    },
)
CRITERIA = st.fixed_dictionaries(
    {"vulnerable": FLAGS, "criteria": TEXTS, "matchCriteriaId": TEXTS},
    optional={f"version{edge}": TEXTS for edge in ("StartIncluding", "StartExcluding", "EndIncluding", "EndExcluding")},
)
OPERATORS = {"operator": st.sampled_from(["AND", "OR"]), "negate": FLAGS}
NODES = st.fixed_dictionaries({"cpeMatch": st.lists(CRITERIA, max_size=3)}, optional=OPERATORS)
CONFIGURATIONS = st.fixed_dictionaries({"nodes": st.lists(NODES, max_size=2)}, optional=OPERATORS)
WEAKNESSES = st.fixed_dictionaries({"source": TEXTS, "type": KINDS, "description": st.lists(LANGUAGES, max_size=2)})
REFERENCES = st.fixed_dictionaries({"url": TEXTS}, optional={"source": TEXTS, "tags": st.lists(TEXTS, max_size=3)})
ANYTHING = st.recursive(
    st.one_of(st.none(), FLAGS, st.integers(), st.decimals(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)


NUMBERS = st.integers(1, 10**9 - 1)


def cves(numbers: st.SearchStrategy[int] = NUMBERS) -> st.SearchStrategy[Cve]:
    """Any CVE that the API's schema allows, and fields that it does not know yet."""
    keys = st.builds(lambda year, number: year * 10**9 + number, st.integers(0, 9999), numbers)
    texts = ("sourceIdentifier", "vulnStatus", "cisaExploitAdd", "cisaActionDue", "cisaRequiredAction")
    return st.fixed_dictionaries(
        {
            "id": keys.map(id_of),
            "published": INSTANTS,
            "lastModified": INSTANTS,
            "descriptions": st.lists(LANGUAGES, max_size=3),
            "references": st.lists(REFERENCES, max_size=3),
        },
        optional={
            **dict.fromkeys(texts, TEXTS),
            "metrics": METRICS,
            "weaknesses": st.lists(WEAKNESSES, max_size=2),
            "configurations": st.lists(CONFIGURATIONS, max_size=2),
            "vendorComments": ANYTHING,
            "aFieldOfTomorrow": ANYTHING,
        },
    )
