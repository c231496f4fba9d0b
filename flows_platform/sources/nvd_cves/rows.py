"""One CVE of the API (`vulnerabilities[].cve`) to the rows of all tables. Reads no database.

The document column holds the whole CVE, so nothing that has no column of its own is lost: other languages, vendors'
comments, fields that NVD adds one day. Numbers may come as int, float or Decimal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flows_platform.columns.raw_records import json_text
from flows_platform.domain.errors import InputError
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.json_object import Part
from flows_platform.sources.nvd_cves.metrics import Row, metric_rows
from flows_platform.sources.nvd_cves.schema import KEY, POSITION

ENGLISH = "en"
# Columns of the fact table that are texts of the document, with their names there.
CVE_MEMBERS = {
    "status": "vulnStatus",
    "source_identifier": "sourceIdentifier",
    "cisa_exploit_add": "cisaExploitAdd",
    "cisa_action_due": "cisaActionDue",
    "cisa_required_action": "cisaRequiredAction",
    "cisa_vulnerability_name": "cisaVulnerabilityName",
}
CRITERION_MEMBERS = {
    "match_criteria_id": "matchCriteriaId",
    "version_start_including": "versionStartIncluding",
    "version_start_excluding": "versionStartExcluding",
    "version_end_including": "versionEndIncluding",
    "version_end_excluding": "versionEndExcluding",
}


@dataclass(frozen=True, slots=True)
class CveVersion:
    """Which CVE, and in which state."""

    id: str
    last_modified: datetime

    @property
    def key(self) -> int:
        return key_of(self.id)


@dataclass(frozen=True, slots=True)
class CveRows:
    """A CVE's rows: one of the fact table, those of the child tables by their names."""

    version: CveVersion
    cve: Row
    children: Mapping[str, list[Row]]


def rows_of(cve: Mapping[str, object]) -> CveRows:
    """The rows of a CVE.

    Raises:
        InputError: it is malformed; the message names its id and the path.
    """
    part = _part(cve)
    version = _version(part)
    key = version.key
    children = {
        **metric_rows(part, key),
        schema.WEAKNESSES.name: _numbered(key, _weaknesses(part)),
        schema.REFERENCES.name: _numbered(key, _references(part)),
        schema.CPE_MATCHES.name: _numbered(key, _cpe_matches(part)),
    }
    return CveRows(version, _cve(part, version), children)


def _part(cve: Mapping[str, object]) -> Part:
    found = cve.get("id")
    name = found if isinstance(found, str) else "a CVE without id"
    return Part(ascii(name)[1:61].rstrip("'"), "", cve)


def _version(part: Part) -> CveVersion:
    cve_id = part.needed("id")
    try:
        key_of(cve_id)
    except InputError as error:
        raise InputError(f"{part.cve}: id: {error.message}", remedy=error.remedy) from error
    return CveVersion(cve_id, part.instant("lastModified"))


def _cve(part: Part, version: CveVersion) -> Row:
    return {
        KEY: version.key,
        "id": version.id,
        "description": _english(part),
        "published": part.instant("published"),
        "last_modified": version.last_modified,
        **{column: part.text(member) for column, member in CVE_MEMBERS.items()},
        "revision": 1,
        "document": json_text(part.value),
    }


def _english(part: Part) -> str | None:
    texts = [(each.needed("lang"), each.needed("value")) for each in part.each("descriptions")]
    return next((value for lang, value in texts if lang == ENGLISH), None)


def _numbered(key: int, rows: Iterator[Row]) -> list[Row]:
    return [{KEY: key, POSITION: position, **row} for position, row in enumerate(rows)]


def _weaknesses(part: Part) -> Iterator[Row]:
    for weakness in part.each("weaknesses"):
        origin = {"source": weakness.text("source"), "type": weakness.text("type")}
        for description in weakness.each("description"):
            yield {**origin, "lang": description.needed("lang"), "value": description.needed("value")}


def _references(part: Part) -> Iterator[Row]:
    for reference in part.each("references"):
        tags = json_text(reference.texts("tags"))
        yield {"url": reference.needed("url"), "source": reference.text("source"), "tags": tags}


def _cpe_matches(part: Part) -> Iterator[Row]:
    for number, configuration in enumerate(part.each("configurations")):
        outer = {
            "configuration": number,
            "configuration_operator": configuration.text("operator"),
            "configuration_negate": configuration.flag("negate"),
        }
        for place, node in enumerate(configuration.each("nodes")):
            inner = {"node": place, "operator": node.text("operator"), "negate": node.flag("negate")}
            for criterion in node.each("cpeMatch"):
                yield {**outer, **inner, **_criterion(criterion)}


def _criterion(criterion: Part) -> Row:
    vulnerable = criterion.flag("vulnerable")
    if vulnerable is None:
        raise InputError(f"{criterion.cve}: {criterion.path}.vulnerable is missing, not true or false.")
    texts = {column: criterion.text(member) for column, member in CRITERION_MEMBERS.items()}
    return {"vulnerable": vulnerable, "criteria": criterion.needed("criteria"), **texts}
