"""Reads CVE documents with other code than the project's, and compares them with the rows of all tables."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, RowMapping, select

from flows_platform.columns.raw_records import json_text
from flows_platform.sources.nvd_cves.tables import CHILDREN, CVES
from tests.sources.nvd_cves.cve_objects import Cve

type Parts = tuple[RowMapping, dict[str, list[RowMapping]]]

OLD, NEW = "page_200_start0_20230713.json.gz", "page_2000_start0_20250623.json.gz"


def answer(file: Path) -> list[Cve]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    document = json.loads(text, parse_float=Decimal)
    return [entry["cve"] for entry in document.get("vulnerabilities", [])]


def answers(folder: Path) -> Iterator[list[Cve]]:
    """All of NVD's own answers."""
    for file in sorted((folder / "nvd").glob("*.json*")):
        if not any(other in file.name for other in ("schema", "cpematch", "history", "sources")):
            yield answer(file)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def criteria(cve: Cve) -> Iterator[tuple[Any, ...]]:
    for number, configuration in enumerate(cve.get("configurations", [])):
        for place, node in enumerate(configuration["nodes"]):
            for match in node["cpeMatch"]:
                bounds = [match.get(f"version{end}") for end in ("StartIncluding", "EndIncluding", "EndExcluding")]
                yield number, configuration.get("operator"), place, node["operator"], match["criteria"], *bounds


def metrics(cve: Cve) -> Iterator[tuple[Any, ...]]:
    for name in ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2"):
        for kind in ("Primary", "Secondary"):
            for metric in cve["metrics"].get(name, []):
                data = metric["cvssData"]
                if metric["type"] == kind:
                    severity = data.get("baseSeverity", metric.get("baseSeverity"))
                    scores = (metric.get("impactScore"), metric.get("exploitabilityScore"))
                    numbers = (None if score is None else float(score) for score in (data["baseScore"], *scores))
                    yield metric["source"], kind, data["version"], data["vectorString"], severity, *numbers


def columns(rows: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def stored(engine: Engine) -> dict[int, Parts]:
    """The row in `cves` and the child rows of every CVE."""
    with engine.begin() as connection:
        found: dict[int, Parts] = {
            row["cve_key"]: (row, defaultdict(list)) for row in connection.execute(select(CVES)).mappings()
        }
        for table in CHILDREN:
            for row in connection.execute(select(table).order_by(table.c.position)).mappings():
                found[row["cve_key"]][1][table.name].append(row)
    return found


def newest_of(cves: Iterable[Cve]) -> dict[str, Cve]:
    """The newest state of every CVE by its id."""
    newest: dict[str, Cve] = {}
    for cve in cves:
        held = newest.setdefault(cve["id"], cve)
        if cve["lastModified"] > held["lastModified"]:
            newest[cve["id"]] = cve
    return newest


def check(held: Parts, cve: Cve) -> None:
    fact, parts = held
    assert fact["id"] == cve["id"]
    assert json.loads(fact["document"], parse_float=Decimal) == cve
    assert (fact["published"], fact["last_modified"]) == (instant(cve["published"]), instant(cve["lastModified"]))
    assert fact["description"] == next(text["value"] for text in cve["descriptions"] if text["lang"] == "en")
    assert (fact["status"], fact["cisa_exploit_add"]) == (cve["vulnStatus"], cve.get("cisaExploitAdd"))
    assert columns(parts["cve_references"], "url", "source", "tags") == [
        (reference["url"], reference["source"], json_text(reference.get("tags", []))) for reference in cve["references"]
    ]
    assert columns(parts["cve_weaknesses"], "source", "type", "lang", "value") == [
        (weakness["source"], weakness["type"], text["lang"], text["value"])
        for weakness in cve.get("weaknesses", [])
        for text in weakness["description"]
    ]
    names = ("configuration", "configuration_operator", "node", "operator", "criteria")
    bounds = ("version_start_including", "version_end_including", "version_end_excluding")
    assert columns(parts["cve_cpe_matches"], *names, *bounds) == list(criteria(cve))
    rated = ("metric_source", "metric_type", "cvss_version", "vector_string", "base_severity")
    scored = ("base_score", "impact_score", "exploitability_score")
    severities, scores = columns(parts["cve_severities"], *rated), columns(parts["cve_scores"], *scored)
    assert [one + other for one, other in zip(severities, scores, strict=True)] == list(metrics(cve))
    assert len(parts["cve_attack_vectors"]) == len(severities)
    assert all(row["attack_vector"] for row in parts["cve_attack_vectors"])
