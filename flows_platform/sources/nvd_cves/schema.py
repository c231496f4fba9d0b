"""The tables and columns of CVEs, from which SQL, OpenAPI and CSV are rendered. No SQL, no data.

A CVE may have several CVSS metrics. The one that counts has the newest CVSS version; within a version, Primary goes
before Secondary, then the earlier in the document. Metrics are numbered in that order, so `position` 0 is the one that
counts.
"""

from dataclasses import dataclass
from typing import Final

from flows_platform.domain.schema import Column, ColumnType

NOTICE: Final = "This product uses the NVD API but is not endorsed or certified by the NVD."
KEY: Final = "cve_key"
POSITION: Final = "position"
THE_ONE_THAT_COUNTS: Final = 0
METRIC_RULE: Final = (
    "Of several CVSS metrics the one with the newest version counts; within a version, Primary goes before Secondary."
)

SEVERITIES = ("NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL")
ATTACK_VECTORS = ("NETWORK", "ADJACENT_NETWORK", "LOCAL", "PHYSICAL")


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table. `key` identifies a row; every entry of `indexes` lists the columns of one index."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _text(name: str, description: str) -> Column:
    return Column(name, ColumnType.STRING, description, nullable=True)


def _required(name: str, description: str, kind: ColumnType = ColumnType.STRING) -> Column:
    return Column(name, kind, description)


def _child(name: str, description: str, *columns: Column, index: tuple[str, ...] = ()) -> SqlTable:
    key = _required(KEY, "The CVE.", ColumnType.INT64)
    position = _required(POSITION, "Position among the CVE's rows of this table, from 0.", ColumnType.INT64)
    return SqlTable(name, description, (key, position, *columns), (KEY, POSITION), (index,) if index else ())


def _metric(name: str, description: str, *columns: Column, filtered: str) -> SqlTable:
    return _child(name, f"{description} {METRIC_RULE}", *columns, index=(POSITION, filtered, KEY))


CVES = SqlTable(
    "cves",
    "One row per CVE, as last published by NVD.",
    (
        _required(KEY, "Year * 10^9 + number: CVE-2021-45357 is 2021000045357.", ColumnType.INT64),
        _required("id", "The CVE's id."),
        _text("description", "The first description in English."),
        _required("published", "When NVD published it, UTC.", ColumnType.TIMESTAMP),
        _required("last_modified", "When NVD changed it last, UTC.", ColumnType.TIMESTAMP),
        _text("status", "State of NVD's work: Received, Analyzed, Modified, Deferred, Rejected and others."),
        _text("source_identifier", "Its reporter: an address or a UUID."),
        _text("cisa_exploit_add", "Date on which CISA listed it as known to be exploited."),
        _text("cisa_action_due", "Date until which US agencies must act."),
        _text("cisa_required_action", "What they must do."),
        _text("cisa_vulnerability_name", "CISA's name for it."),
        _required("revision", "How often it was written here: 1 at first, 1 more with every change.", ColumnType.INT64),
        _required("document", "The whole CVE as NVD gave it, all languages and fields.", ColumnType.JSON),
    ),
    (KEY,),
    (("published",), ("last_modified",)),
)

METRICS = _metric(
    "cve_severities",
    "One row per CVSS metric: its author, version and severity.",
    _required("cvss_version", "Version of CVSS: 2.0, 3.0, 3.1 or 4.0."),
    _required("metric_source", "The metric's author."),
    _required("metric_type", "Primary or Secondary."),
    _text("vector_string", "The vector, as CVSS writes it."),
    _text("base_severity", "Severity: NONE, LOW, MEDIUM, HIGH or CRITICAL."),
    filtered="base_severity",
)

SCORES = _metric(
    "cve_scores",
    "The scores of each metric.",
    Column("base_score", ColumnType.FLOAT64, "Base score, 0 to 10.", nullable=True),
    Column("exploitability_score", ColumnType.FLOAT64, "Exploitability; CVSS 4.0 has none.", nullable=True),
    Column("impact_score", ColumnType.FLOAT64, "Impact; CVSS 4.0 has none.", nullable=True),
    filtered="base_score",
)

VECTORS = _metric(
    "cve_attack_vectors",
    "What an attack takes and what it does, one row per metric.",
    _text("attack_vector", "From where: NETWORK, ADJACENT_NETWORK (4.0 says ADJACENT), LOCAL or PHYSICAL."),
    _text("attack_complexity", "How hard: LOW, MEDIUM or HIGH."),
    _text("attack_requirements", "What the target must be like, in 4.0."),
    _text("privileges_required", "Privileges that the attacker needs, since 3.0."),
    _text("authentication", "How often the attacker logs in, in 2.0."),
    _text("user_interaction", "Whether a user must help; REQUIRED or NONE where 2.0 says true or false."),
    _text("scope", "Whether it reaches beyond the vulnerable component, in 3.x."),
    _text("confidentiality_impact", "Harm to confidentiality, in 4.0 of the vulnerable system."),
    _text("integrity_impact", "Harm to integrity, in 4.0 of the vulnerable system."),
    _text("availability_impact", "Harm to availability, in 4.0 of the vulnerable system."),
    filtered="attack_vector",
)

WEAKNESSES = _child(
    "cve_weaknesses",
    "One row per weakness and language.",
    _text("source", "Its author."),
    _text("type", "Primary or Secondary."),
    _required("lang", "Language of the value."),
    _required("value", "CWE-79, NVD-CWE-noinfo and the like."),
)

REFERENCES = _child(
    "cve_references",
    "One row per reference.",
    _required("url", "Its URL."),
    _text("source", "Its author."),
    _required("tags", "What it is, as a JSON list of texts: Patch, Exploit and others.", ColumnType.JSON),
)

CPE_MATCHES = _child(
    "cve_cpe_matches",
    "One row per match criterion of the CVE's configurations.",
    _required("configuration", "Position of the configuration, from 0.", ColumnType.INT64),
    _text("configuration_operator", "How its nodes are joined: AND or OR."),
    Column("configuration_negate", ColumnType.BOOL, "Whether the configuration is negated.", nullable=True),
    _required("node", "Position of the node in its configuration, from 0.", ColumnType.INT64),
    _text("operator", "How the node's criteria are joined: AND or OR."),
    Column("negate", ColumnType.BOOL, "Whether the node is negated.", nullable=True),
    _required("vulnerable", "Whether products that match are vulnerable themselves.", ColumnType.BOOL),
    _required("criteria", "The CPE 2.3 name or pattern."),
    _text("match_criteria_id", "UUID of the criterion."),
    _text("version_start_including", "First version, itself included."),
    _text("version_start_excluding", "First version, itself not included."),
    _text("version_end_including", "Last version, itself included."),
    _text("version_end_excluding", "Last version, itself not included."),
)

METRIC_TABLES = (METRICS, SCORES, VECTORS)
CHILDREN = (*METRIC_TABLES, WEAKNESSES, REFERENCES, CPE_MATCHES)
TABLES = (CVES, *CHILDREN)

# The columns of a CVE that a list shows; those of metrics are from the one that counts.
_OF_CVES = ("id", "description", "published", "last_modified", "status", "source_identifier")
_OF_METRICS = ("cvss_version", "metric_source", "metric_type", "vector_string", "base_severity")
SUMMARY: tuple[tuple[SqlTable, tuple[str, ...]], ...] = (
    (CVES, _OF_CVES),
    (METRICS, _OF_METRICS),
    (SCORES, ("base_score", "exploitability_score", "impact_score")),
    (VECTORS, ("attack_vector",)),
)
SUMMARY_NAMES = tuple(name for _, names in SUMMARY for name in names)
