"""Makes the rows of all tables from one CVE of the API (`vulnerabilities[].cve`). Reads no database.

The document column holds the whole CVE, so values without a column are not lost: other languages, vendors' comments,
fields that NVD will add. Numbers may be int, float or Decimal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flows_platform.columns.raw_records import json_text
from flows_platform.domain.errors import InputError
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.json_object import JsonObject
from flows_platform.sources.nvd_cves.metrics import Row, metric_rows
from flows_platform.sources.nvd_cves.schema import KEY, POSITION

ENGLISH = "en"
# Columns of `cves` that are texts of the document, with their names there.
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
    """Identifies a CVE and its state."""

    id: str
    last_modified: datetime

    @property
    def key(self) -> int:
        return key_of(self.id)


@dataclass(frozen=True, slots=True)
class CveRows:
    """A CVE's rows: one of `cves`, and those of the child tables by table name."""

    version: CveVersion
    cve: Row
    children: Mapping[str, list[Row]]


def rows_of(cve: Mapping[str, object]) -> CveRows:
    """The rows of a CVE.

    Raises:
        InputError: the CVE is malformed; the message names its id and the path.
    """
    document = _document(cve)
    version = _version(document)
    key = version.key
    children = {
        **metric_rows(document, key),
        schema.WEAKNESSES.name: _numbered(key, _weaknesses(document)),
        schema.REFERENCES.name: _numbered(key, _references(document)),
        schema.CPE_MATCHES.name: _numbered(key, _cpe_matches(document)),
    }
    return CveRows(version, _cve(document, version), children)


def _document(cve: Mapping[str, object]) -> JsonObject:
    found = cve.get("id")
    name = found if isinstance(found, str) else "a CVE without id"
    return JsonObject(ascii(name)[1:61].rstrip("'"), "", cve)


def _version(document: JsonObject) -> CveVersion:
    cve_id = document.needed("id")
    try:
        key_of(cve_id)
    except InputError as error:
        raise InputError(f"{document.cve}: id: {error.message}", remedy=error.remedy) from error
    return CveVersion(cve_id, document.instant("lastModified"))


def _cve(document: JsonObject, version: CveVersion) -> Row:
    return {
        KEY: version.key,
        "id": version.id,
        "description": _english(document),
        "published": document.instant("published"),
        "last_modified": version.last_modified,
        **{column: document.text(member) for column, member in CVE_MEMBERS.items()},
        "revision": 1,
        "document": json_text(document.value),
    }


def _english(document: JsonObject) -> str | None:
    texts = [(text.needed("lang"), text.needed("value")) for text in document.objects("descriptions")]
    return next((value for lang, value in texts if lang == ENGLISH), None)


def _numbered(key: int, rows: Iterator[Row]) -> list[Row]:
    return [{KEY: key, POSITION: position, **row} for position, row in enumerate(rows)]


def _weaknesses(document: JsonObject) -> Iterator[Row]:
    for weakness in document.objects("weaknesses"):
        origin = {"source": weakness.text("source"), "type": weakness.text("type")}
        for description in weakness.objects("description"):
            yield {**origin, "lang": description.needed("lang"), "value": description.needed("value")}


def _references(document: JsonObject) -> Iterator[Row]:
    for reference in document.objects("references"):
        tags = json_text(reference.texts("tags"))
        yield {"url": reference.needed("url"), "source": reference.text("source"), "tags": tags}


def _cpe_matches(document: JsonObject) -> Iterator[Row]:
    for number, configuration in enumerate(document.objects("configurations")):
        outer = {
            "configuration": number,
            "configuration_operator": configuration.text("operator"),
            "configuration_negate": configuration.flag("negate"),
        }
        for position, node in enumerate(configuration.objects("nodes")):
            inner = {"node": position, "operator": node.text("operator"), "negate": node.flag("negate")}
            for criterion in node.objects("cpeMatch"):
                yield {**outer, **inner, **_criterion(criterion)}


def _criterion(criterion: JsonObject) -> Row:
    vulnerable = criterion.flag("vulnerable")
    if vulnerable is None:
        raise InputError(f"{criterion.cve}: {criterion.path}.vulnerable is missing, not true or false.")
    texts = {column: criterion.text(member) for column, member in CRITERION_MEMBERS.items()}
    return {"vulnerable": vulnerable, "criteria": criterion.needed("criteria"), **texts}
