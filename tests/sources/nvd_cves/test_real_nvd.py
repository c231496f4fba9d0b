"""NVD's own answers, every CVE and field of them: the tables say what the documents say, read anew by other code."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, RowMapping, select

from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.rows import version_of
from flows_platform.sources.nvd_cves.store import Counts, CveStore
from flows_platform.sources.nvd_cves.tables import CHILDREN, CVES
from flows_platform.wire.raw_records import json_text
from tests.sources.nvd_cves.cve_objects import Cve

type Parts = tuple[RowMapping, dict[str, list[RowMapping]]]

OLD, NEW = "page_200_start0_20230713.json.gz", "page_2000_start0_20250623.json.gz"


def answer(file: Path) -> list[Cve]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    document = json.loads(text, parse_float=Decimal)
    return [each["cve"] for each in document.get("vulnerabilities", [])]


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
    """The fact row and the children of every CVE."""
    with engine.begin() as connection:
        found: dict[int, Parts] = {
            row["cve_key"]: (row, defaultdict(list)) for row in connection.execute(select(CVES)).mappings()
        }
        for table in CHILDREN:
            for row in connection.execute(select(table).order_by(table.c.position)).mappings():
                found[row["cve_key"]][1][table.name].append(row)
    return found


def check(held: Parts, cve: Cve) -> None:
    fact, parts = held
    assert fact["id"] == cve["id"]
    assert json.loads(fact["document"], parse_float=Decimal) == cve
    assert (fact["published"], fact["last_modified"]) == (instant(cve["published"]), instant(cve["lastModified"]))
    assert fact["description"] == next(each["value"] for each in cve["descriptions"] if each["lang"] == "en")
    assert (fact["status"], fact["cisa_exploit_add"]) == (cve["vulnStatus"], cve.get("cisaExploitAdd"))
    assert columns(parts["cve_references"], "url", "source", "tags") == [
        (each["url"], each["source"], json_text(each.get("tags", []))) for each in cve["references"]
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


def test_every_cve_and_field(shared_data: Path, store: CveStore, engine: Engine) -> None:
    newest: dict[str, Cve] = {}
    for file in sorted((shared_data / "nvd").glob("*.json*")):
        if "schema" in file.name or "cpematch" in file.name or "history" in file.name or "sources" in file.name:
            continue
        cves = answer(file)
        store.upsert(cves)
        for cve in cves:
            held = newest.setdefault(cve["id"], cve)
            if cve["lastModified"] > held["lastModified"]:
                newest[cve["id"]] = cve
    assert store.total() == len(newest) > 2_200
    held = stored(engine)
    for cve in newest.values():
        check(held[key_of(cve["id"])], cve)


@pytest.mark.parametrize("kept", [0, 120, 200])
def test_two_snapshots_give_exactly_the_changed_rows(
    shared_data: Path, store: CveStore, engine: Engine, kept: int
) -> None:
    """All 200 CVEs of the later snapshot are newer; where it shows `kept` of them as they were, the others alone."""
    old, new = answer(shared_data / "nvd" / OLD), answer(shared_data / "nvd" / NEW)[:200]
    assert [each["id"] for each in old] == [each["id"] for each in new]
    assert store.upsert(old) == Counts(inserted=200)
    later = old[:kept] + new[kept:]
    assert store.newer(map(version_of, later)) == {each["id"] for each in new[kept:]}
    assert store.upsert(later) == Counts(updated=200 - kept, unchanged=kept)
    held = stored(engine)
    for cve in later:
        check(held[key_of(cve["id"])], cve)
    assert store.upsert(old) == Counts(unchanged=200)
