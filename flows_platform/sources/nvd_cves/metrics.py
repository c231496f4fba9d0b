"""The CVSS metrics of a CVE, of every version, as rows; first the one that counts.

A family of metrics is a member of `metrics` whose name starts with `cvssMetric`; future versions are read like the
present ones.
"""

import re
from collections.abc import Iterator

from flows_platform.domain.errors import InputError
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.json_object import JsonObject
from flows_platform.sources.nvd_cves.schema import KEY, POSITION

type Row = dict[str, object]

FAMILY = "cvssMetric"
VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
PRIMARY = "Primary"
# CVSS 4.0's word for what earlier versions call ADJACENT_NETWORK.
ONE_WORD = {"ADJACENT": "ADJACENT_NETWORK"}
HELP = {True: "REQUIRED", False: "NONE", None: None}
# Columns that are members of `cvssData`, with their names there: that of 3.x first, then 2.0's, then 4.0's spellings.
VECTOR_MEMBERS = {
    "attack_complexity": ("attackComplexity", "accessComplexity"),
    "attack_requirements": ("attackRequirements",),
    "privileges_required": ("privilegesRequired",),
    "authentication": ("authentication",),
    "scope": ("scope",),
    "confidentiality_impact": (
        "confidentialityImpact",
        "vulnConfidentialityImpact",
        "vulnerableSystemConfidentiality",
    ),
    "integrity_impact": ("integrityImpact", "vulnIntegrityImpact", "vulnerableSystemIntegrity"),
    "availability_impact": ("availabilityImpact", "vulnAvailabilityImpact", "vulnerableSystemAvailability"),
}


def metric_rows(cve: JsonObject, key: int) -> dict[str, list[Row]]:
    """The rows of the three tables of metrics.

    Raises:
        InputError: a metric is malformed.
    """
    rows: dict[str, list[Row]] = {table.name: [] for table in schema.METRIC_TABLES}
    for position, metric in enumerate(sorted(_metrics(cve.inner("metrics")), key=_rank)):
        identity = {KEY: key, POSITION: position}
        rows[schema.METRICS.name].append(identity | _severity(metric))
        rows[schema.SCORES.name].append(identity | _scores(metric))
        rows[schema.VECTORS.name].append(identity | _vector(metric))
    return rows


def _metrics(metrics: JsonObject) -> Iterator[JsonObject]:
    for family in metrics.value:
        if family.startswith(FAMILY):
            yield from metrics.objects(family)


def _rank(metric: JsonObject) -> tuple[int, int, bool]:
    major, minor = map(int, _version(metric).split("."))
    return -major, -minor, metric.needed("type") != PRIMARY


def _version(metric: JsonObject) -> str:
    data = metric.inner("cvssData")
    version = data.needed("version")
    if not VERSION.fullmatch(version):
        raise InputError(f"{data.cve}: {data.path}.version is {version[:20]!a}, not a version such as 3.1.")
    return version


def _severity(metric: JsonObject) -> Row:
    data = metric.inner("cvssData")
    return {
        "cvss_version": _version(metric),
        "metric_source": metric.needed("source"),
        "metric_type": metric.needed("type"),
        "vector_string": data.text("vectorString"),
        # 2.0 has its rating beside the data, later versions in them.
        "base_severity": data.text("baseSeverity") or metric.text("baseSeverity"),
    }


def _scores(metric: JsonObject) -> Row:
    return {
        "base_score": metric.inner("cvssData").number("baseScore"),
        "exploitability_score": metric.number("exploitabilityScore"),
        "impact_score": metric.number("impactScore"),
    }


def _vector(metric: JsonObject) -> Row:
    data = metric.inner("cvssData")
    origin = data.text("attackVector", "accessVector")
    return {
        "attack_vector": None if origin is None else ONE_WORD.get(origin, origin),
        "user_interaction": data.text("userInteraction") or HELP[metric.flag("userInteractionRequired")],
        **{column: data.text(*members) for column, members in VECTOR_MEMBERS.items()},
    }
