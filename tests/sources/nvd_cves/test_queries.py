"""Filters, pages and totals on every engine, compared with the same in Python."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from sqlalchemy import Connection, event

from flows_platform.sources.nvd_cves.filters import Aspect, CveFilter
from flows_platform.sources.nvd_cves.queries import CveQueries
from flows_platform.sources.nvd_cves.store import CveStore
from flows_platform.sql import engines
from tests.sources.nvd_cves.cve_objects import START, Cve, cve, metric

SCORES = (None, 4.0, 7.5, 9.8)


def made() -> list[Cve]:
    """Forty CVEs; every fourth without a metric."""
    found = []
    for number in range(1, 41):
        score = SCORES[number % 4]
        origin = "LOCAL" if number % 3 else "NETWORK"
        second = metric(score=1.0, kind="Secondary", baseSeverity="LOW", attackVector="PHYSICAL")
        metrics = [second, metric(score=score, attackVector=origin)] if score else []
        text = f"Overflow number {number}: 100% of a_b" if number % 2 else f"Injection {number}"
        descriptions = [{"lang": "en", "value": text}]
        found.append(cve(number, metrics={"cvssMetricV31": metrics}, descriptions=descriptions))
    return found


@pytest.fixture
def filled(store: CveStore, queries: CveQueries) -> CveQueries:
    store.upsert(made())
    return queries


def numbers(queries: CveQueries, **wanted: Any) -> list[int]:
    page = queries.page(CveFilter(**wanted), None, 1000)
    assert page.next is None
    return [int(row["id"].removeprefix("CVE-2024-")) for row in page.rows]


ALL = range(1, 41)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, list(ALL)),
        ({"id": "CVE-2024-0007"}, [7]),
        ({"id": "CVE-2023-0007"}, []),
        ({"keyword": "oVERflow"}, [number for number in ALL if number % 2]),
        ({"keyword": "100%"}, [number for number in ALL if number % 2]),
        ({"keyword": "a_b"}, [number for number in ALL if number % 2]),
        ({"keyword": "a%b"}, []),
        ({"keyword": "\\"}, []),
        ({"keyword": "'; DROP TABLE cves; --"}, []),
        ({"severity": "CRITICAL"}, [number for number in ALL if number % 4 == 3]),
        ({"severity": "LOW"}, []),
        ({"min_score": 7.5}, [number for number in ALL if number % 4 >= 2]),
        ({"min_score": 4.0, "max_score": 7.5}, [number for number in ALL if number % 4 in {1, 2}]),
        ({"max_score": 0.0}, []),
        ({"attack_vector": "NETWORK"}, [number for number in ALL if number % 3 == 0 and number % 4]),
        ({"modified_since": START + timedelta(days=38)}, [38, 39, 40]),
        ({"modified_since": START + timedelta(days=38, milliseconds=1)}, [39, 40]),
        ({"severity": "HIGH", "keyword": "injection", "attack_vector": "LOCAL", "min_score": 7.0}, None),
    ],
)
def test_filters(filled: CveQueries, wanted: dict[str, Any], expected: list[int] | None) -> None:
    if expected is None:
        expected = [number for number in ALL if number % 4 == 2 and number % 3]
    assert numbers(filled, **wanted) == expected


@pytest.mark.parametrize("limit", [1, 7, 13, 39, 40, 41])
def test_pages_add_up_to_the_whole(filled: CveQueries, limit: int) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = filled.page(CveFilter(), after, limit)
        assert len(page.rows) <= limit
        seen += [row["id"] for row in page.rows]
        assert page.next in {None, seen[-1]}
        if page.next is None:
            break
        after = page.next
    assert seen == [document["id"] for document in made()]


def test_a_page_is_not_shifted_by_what_comes_meanwhile(filled: CveQueries, store: CveStore) -> None:
    first = filled.page(CveFilter(), None, 10)
    earlier = cve(1) | {"id": "CVE-2023-0001"}
    store.upsert([earlier, cve(12, version=3)])
    second = filled.page(CveFilter(), first.next, 10)
    assert [row["id"] for row in second.rows] == [f"CVE-2024-{number:04}" for number in range(11, 21)]


def test_the_summary_shows_the_metric_that_counts(filled: CveQueries) -> None:
    row = filled.page(CveFilter(id="CVE-2024-0003"), None, 1).rows[0]
    assert (row["base_score"], row["metric_type"], row["attack_vector"]) == (9.8, "Primary", "NETWORK")
    assert row["published"] == START + timedelta(days=3)
    bare = filled.page(CveFilter(id="CVE-2024-0004"), None, 1).rows[0]
    assert (bare["base_score"], bare["base_severity"], bare["cvss_version"]) == (None, None, None)


@pytest.mark.parametrize("since", [None, START + timedelta(days=21)])
@pytest.mark.parametrize("aspect", list(Aspect))
def test_totals_add_up(filled: CveQueries, aspect: Aspect, since: Any) -> None:
    rows = [row for row in filled.page(CveFilter(), None, 1000).rows if since is None or row["published"] >= since]
    totals = filled.totals(aspect, since)
    assert sum(total["cves"] for total in totals) == len(rows) == (40 if since is None else 20)
    values = [total[aspect.value] for total in totals]
    assert values[-1] is None
    assert all(one < other for one, other in pairwise(values[:-1]))
    for total in totals:
        scores = [row["base_score"] for row in rows if row[aspect.value] == total[aspect.value]]
        assert total["cves"] == len(scores)
        if total[aspect.value] is not None:
            assert total["mean_base_score"] == pytest.approx(mean(scores))


def test_a_cve_that_is_not_held(filled: CveQueries) -> None:
    assert filled.one("CVE-1999-0001") is None


@pytest.mark.parametrize(
    ("wanted", "index", "sorts"),
    [
        ({"severity": "HIGH"}, "ix_cve_severities_position_base_severity_cve_key", False),
        ({"attack_vector": "LOCAL", "keyword": "x"}, "ix_cve_attack_vectors_position_attack_vector_cve_key", False),
        ({"modified_since": START}, "ix_cves_last_modified", True),
        ({"keyword": "x"}, "USING INTEGER PRIMARY KEY", False),
    ],
)
def test_a_page_is_a_range_of_an_index(tmp_path: Path, wanted: dict[str, Any], index: str, *, sorts: bool) -> None:
    engine = engines.writer(f"sqlite:///{tmp_path}/cves.db")
    CveStore(engine).create_tables()
    plans: list[str] = []

    def explain(connection: Connection, _: object, statement: str, parameters: Any, *__: object) -> None:
        cursor = connection.connection.cursor()
        plans.extend(str(row[3]) for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(
        engine, "before_cursor_execute", lambda *given: None if given[2] == "BEGIN IMMEDIATE" else explain(*given)
    )
    CveQueries(engine).page(CveFilter(**wanted), "CVE-2024-0001", 10)
    engine.dispose()
    inner = plans[plans.index("LIST SUBQUERY 1") :]
    assert index in inner[1]
    assert any("TEMP B-TREE" in step for step in inner) == sorts
