"""Upserts on every engine: complete, idempotent, atomic, and never back to an older state."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select

from flows_platform.columns.raw_records import json_text
from flows_platform.domain.errors import InputError, StorageError
from flows_platform.sources.nvd_cves.queries import CveQueries
from flows_platform.sources.nvd_cves.rows import rows_of
from flows_platform.sources.nvd_cves.store import BATCH, Counts, CveStore
from flows_platform.sources.nvd_cves.tables import CHILDREN, CVES
from tests.sources.nvd_cves.cve_objects import START, Cve, cve, cves

ONE_DATABASE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain(value: object) -> Any:
    """JSON with numbers as they are written."""
    return json.loads(value if isinstance(value, str) else json_text(value), parse_float=Decimal)


def read_back(queries: CveQueries, cve_id: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    detail = queries.one(cve_id)
    assert detail
    return dict(detail.cve), {name: [dict(row) for row in rows] for name, rows in detail.children.items()}


def held(engine: Engine) -> dict[str, int]:
    with engine.begin() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (CVES, *CHILDREN)
        }


@ONE_DATABASE
@given(made=cves())
def test_nothing_is_lost_on_the_way(store: CveStore, queries: CveQueries, engine: Engine, made: Cve) -> None:
    with engine.begin() as connection:
        connection.execute(CVES.delete())
    assert store.upsert([made]) == Counts(inserted=1)
    fact, children = read_back(queries, made["id"])
    expected = rows_of(made)
    assert plain(fact.pop("document")) == plain(made)
    assert fact.items() <= expected.cve.items()
    keyless = {
        name: [{column: value for column, value in row.items() if column != "cve_key"} for row in rows]
        for name, rows in expected.children.items()
    }
    assert children == keyless


@ONE_DATABASE
@given(made=st.lists(cves(st.integers(1, 5)), max_size=6))
def test_writing_again_changes_nothing(store: CveStore, engine: Engine, made: list[Cve]) -> None:
    with engine.begin() as connection:
        connection.execute(CVES.delete())
    first = store.upsert(made)
    before = held(engine)
    assert store.upsert(made) == Counts(unchanged=len(made))
    assert held(engine) == before
    assert first.inserted == before["cves"] == store.total() == len(list(store.ids()))
    assert first.inserted + first.updated + first.unchanged == len(made)


def test_a_change_replaces_the_children(store: CveStore, queries: CveQueries, engine: Engine) -> None:
    assert store.upsert([cve(1), cve(2)]) == Counts(inserted=2)
    before = held(engine)
    assert store.upsert([cve(1, version=1), cve(2)]) == Counts(updated=1, unchanged=1)
    assert held(engine) == before
    fact, children = read_back(queries, "CVE-2024-0001")
    assert (fact["revision"], fact["description"]) == (2, "A flaw, v1")
    assert [row["url"] for row in children["cve_references"]] == ["https://example.org/v1"]
    assert [row["value"] for row in children["cve_weaknesses"]] == ["CWE-2"]
    assert store.upsert([cve(1, version=2, references=[], metrics={})]) == Counts(updated=1)
    _, children = read_back(queries, "CVE-2024-0001")
    assert not children["cve_references"]
    assert not children["cve_scores"]


def test_an_older_state_never_wins(store: CveStore, queries: CveQueries) -> None:
    assert store.upsert([cve(1, version=5), cve(1, version=9), cve(1, version=7)]) == Counts(inserted=1, unchanged=2)
    assert store.upsert([cve(1, version=8)]) == Counts(unchanged=1)
    fact, children = read_back(queries, "CVE-2024-0001")
    assert fact["description"] == "A flaw, v9"
    assert children["cve_references"][0]["source"] == "v9"


def test_what_is_newer(store: CveStore) -> None:
    store.upsert([cve(1, version=5), cve(2, version=5)])
    asked = [rows_of(document).version for document in (cve(1, version=4), cve(2, version=5), cve(3))]
    assert store.newer(asked) == {"CVE-2024-0003"}
    millisecond = timedelta(milliseconds=1)
    assert store.newer([replace(asked[1], last_modified=asked[1].last_modified + millisecond)]) == {"CVE-2024-0002"}
    assert store.newer([]) == set()


def test_what_a_reconcile_asks(store: CveStore) -> None:
    assert store.newest() is None
    store.upsert(cve(number) for number in range(1, 31))
    assert store.total() == 30
    assert store.total(modified_from=START + timedelta(days=10), modified_before=START + timedelta(days=20)) == 10
    assert store.newest() == START + timedelta(days=30)
    assert list(store.ids()) == [f"CVE-2024-{number:04}" for number in range(1, 31)]


def test_a_batch_is_whole_or_not_at_all(store: CveStore, engine: Engine) -> None:
    store.upsert([cve(1)])
    before = held(engine)
    with pytest.raises(InputError, match="CVE-2024-0003: published"):
        store.upsert([cve(1, version=1), cve(2), cve(3, published=None)])
    assert held(engine) == before

    def fail(*given: Any) -> None:
        if "INSERT INTO cve_cpe_matches" in given[2]:
            raise ConnectionAbortedError("cut")

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(ConnectionAbortedError):
        store.upsert([cve(1, version=1, references=[]), cve(2)])
    event.remove(engine, "before_cursor_execute", fail)
    assert held(engine) == before
    assert store.upsert([cve(1, version=1), cve(2)]) == Counts(inserted=1, updated=1)


def test_a_deleted_cve_takes_its_children_along(store: CveStore, engine: Engine) -> None:
    store.upsert([cve(1)])
    with engine.begin() as connection:
        connection.execute(CVES.delete())
    assert not any(held(engine).values())


def statements(engine: Engine, store: CveStore, made: list[Cve]) -> int:
    sent: list[str] = []

    def note(*given: Any) -> None:
        sent.append(given[2])

    event.listen(engine, "before_cursor_execute", note)
    store.upsert(made)
    event.remove(engine, "before_cursor_execute", note)
    return len(sent)


def test_statements_are_counted_by_batch_and_not_by_cve(store: CveStore, engine: Engine) -> None:
    few = [cve(number, version=1) for number in range(1, 11)]
    many = [cve(number, version=1) for number in range(11, 11 + BATCH)]
    store.upsert([cve(int(document["id"].removeprefix("CVE-2024-"))) for document in [*few, *many]])
    assert statements(engine, store, few) <= 15
    assert statements(engine, store, many) <= 15


def test_cves_are_taken_a_batch_at_a_time(store: CveStore) -> None:
    taken, told = 0, []

    def source() -> Iterator[Cve]:
        nonlocal taken
        for number in range(1, 2 * BATCH + 11):
            taken += 1
            yield cve(number, references=[], configurations=[])

    counts = store.upsert(source(), progress=lambda done, _: told.append((done, taken)))
    assert counts == Counts(inserted=2 * BATCH + 10)
    assert [done for done, _ in told] == [BATCH, 2 * BATCH, 2 * BATCH + 10]
    assert all(drawn <= done for done, drawn in told)


def test_tables_are_made_once(store: CveStore) -> None:
    store.upsert([cve(1)])
    store.create_tables()
    assert store.total() == 1


def test_without_tables_the_error_is_ours(engine: Engine) -> None:
    with pytest.raises(StorageError, match="cves"):
        CveStore(engine).total()
