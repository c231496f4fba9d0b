"""A table with its own time column, a text as its key and columns of every type, in the real emulator."""

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import Granularity, WarehouseTable
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window
from flows_platform.orchestration.metadata.first_rows import cell
from flows_platform.warehouse import sql
from flows_platform.warehouse.replace_window import Publication, Published, bounds_of
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.check import CheckedFile, check_window_file
from flows_platform.window_files.parquet import file_digest, opened
from tests.warehouse.event_rows import DAYS, EVENTS, EVENTS_TABLE, LOCAL_DAYS, event
from tests.warehouse.flow_rows import Row, write_parquet

TICK = timedelta(microseconds=1)
DAY = DAYS.floor(datetime(2024, 3, 5, tzinfo=UTC))
NEXT = DAYS.floor(DAY.end)
LONG = Decimal("12345678901234567890.105000001")
FIRST = [
    event("a", DAY.start),
    event("é", DAY.end - TICK, score=-0.0, weight=0.1, known=False, exploited=True, number=-1, fixed=0),
    event("c", DAY.start + TICK, details=json.dumps({"id": [1, "x"]}), exploited=False, due=-719_162, amount=LONG),
]
SECOND = [event("a", NEXT.start, score=5e-324, weight=-1.7976931348623157e308)]
MANTISSAS = 2**52
# Days since 1970 and decimals, at their bounds and between them.
DATES = [-719_162, -1, 0, 19_783, 2_932_896]
AMOUNTS = ["0", "1.5", "-0.5", "100", "-0.000000001", "0.1", "9" * 29 + "." + "9" * 9, "-" + "9" * 29, str(LONG)]


@pytest.fixture
def events(client: bigquery.Client, tmp_path: Path) -> Warehouse:
    """A warehouse with an empty table of events."""
    warehouse = Warehouse(client, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)
    warehouse.ensure_table(EVENTS_TABLE)
    return warehouse


def publish(warehouse: Warehouse, window: Window, rows: Sequence[Row]) -> Published:
    path = write_parquet(warehouse.locks.parent / f"{uuid4().hex}.parquet", rows, EVENTS)
    assert file_digest(path) == RowDigest.of(rows)
    with opened(path) as file:
        checked = check_window_file(EVENTS_TABLE, window, file, len(rows))
    return warehouse.replace_window(Publication(EVENTS_TABLE, window, checked, "run"))


@pytest.mark.slow
def test_windows_are_replaced_and_their_neighbours_left(events: Warehouse) -> None:
    assert publish(events, DAY, FIRST).inserted == 3
    publish(events, NEXT, SECOND)
    again = publish(events, DAY, FIRST[1:])
    assert (again.inserted, again.deleted) == (2, 3)
    assert events.digest(EVENTS_TABLE, DAY) == RowDigest.of(FIRST[1:])
    assert events.digest(EVENTS_TABLE, NEXT) == RowDigest.of(SECOND)
    assert events.window_counts(EVENTS_TABLE, DAYS) == {DAY: 2, NEXT: 1}


@pytest.mark.slow
def test_the_same_window_again_is_the_same(events: Warehouse) -> None:
    for _ in range(2):
        publish(events, DAY, FIRST)
        assert events.digest(EVENTS_TABLE) == RowDigest.of(FIRST)


@pytest.mark.slow
def test_an_empty_window_clears_its_rows_and_no_others(events: Warehouse) -> None:
    publish(events, DAY, FIRST)
    publish(events, NEXT, SECOND)
    cleared = publish(events, DAY, [])
    assert (cleared.inserted, cleared.deleted, cleared.load_job) == (0, 3, "")
    assert events.digest(EVENTS_TABLE) == RowDigest.of(SECOND)


def test_the_table_is_as_declared_and_its_facts_need_no_epoch(events: Warehouse) -> None:
    events.ensure_table(EVENTS_TABLE)
    found = events.client.get_table(f"{events.dataset}.events")
    assert (found.time_partitioning.type_, found.time_partitioning.field) == ("DAY", "seen")
    publish(events, DAY, [*FIRST, event("a", DAY.start)])
    summary = events.window_summary(EVENTS_TABLE, DAY)
    assert (summary.rows, summary.distinct_keys, summary.misplaced) == (4, 3, 0)
    assert (summary.first, summary.last) == (DAY.start, DAY.end - TICK)


@pytest.mark.slow
def test_keys_of_several_columns_are_counted_together(events: Warehouse) -> None:
    rows = [event("1:a", DAY.start, number=1), event("1", DAY.start), event("1:a", DAY.start + TICK)]
    publish(events, DAY, [*rows, rows[0]])
    for rest, distinct in ((("seen",), 3), (("score",), 2), (("known", "score"), 2)):
        table = replace(EVENTS_TABLE, schema=replace(EVENTS, key_rest=rest))
        assert events.window_summary(table, DAY).distinct_keys == distinct


@pytest.mark.parametrize("seen", [DAY.start - TICK, DAY.end])
def test_rows_outside_the_window_are_refused(events: Warehouse, seen: datetime) -> None:
    with pytest.raises(InputError, match=r"holds seen .*, outside the window 2024-03-05-00:00"):
        publish(events, DAY, [*FIRST, event("z", seen)])
    assert events.count(EVENTS_TABLE) == 0


@pytest.mark.slow
def test_days_of_a_clock_that_is_put_on_hold_their_own_rows(events: Warehouse) -> None:
    short = LOCAL_DAYS.floor(datetime(2024, 3, 31, 12, tzinfo=UTC))
    after = LOCAL_DAYS.floor(short.end)
    assert short.end - short.start == timedelta(hours=23)
    rows = [event(str(number), short.start + number * timedelta(minutes=30)) for number in range(46)]
    publish(events, short, rows)
    publish(events, after, [event("x", after.start), event("y", after.end - TICK)])
    assert events.window_counts(EVENTS_TABLE, LOCAL_DAYS) == {short: 46, after: 2}
    assert events.count(EVENTS_TABLE, short) == 46


def doubles(count: int) -> list[float]:
    """Finite doubles of every kind: any bits, subnormal ones, decimals, integers, powers of two, and their edges."""
    random = Random(7)
    found = [0.0, -0.0, 0.1, 2.0**53, -(2.0**63), 1e22, 1e23, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
    found += [2.0**exponent for exponent in range(-1074, 1024)]
    while len(found) < count:
        found += struct.unpack("<2d", random.randbytes(8) + random.randrange(MANTISSAS).to_bytes(8, "little"))
        found += [random.randrange(10**6) / 10 ** random.randrange(7), float(random.randrange(-(2**63), 2**63))]
    return [value for value in found if isfinite(value)]


def test_dates_and_decimals_are_in_the_table_to_the_last_digit(events: Warehouse) -> None:
    rows = [
        event(f"{days} {amount}", DAY.start, due=days, amount=Decimal(amount)) for days in DATES for amount in AMOUNTS
    ]
    publish(events, DAY, rows)
    found = events.select("SELECT `name`, `due`, `amount` FROM `events`", (), "reading events")
    assert {row["name"]: (row["due"], row["amount"]) for row in found} == {
        f"{days} {amount}": (date.fromordinal(date(1970, 1, 1).toordinal() + days), Decimal(amount))
        for days in DATES
        for amount in AMOUNTS
    }
    assert events.digest(EVENTS_TABLE, DAY) == RowDigest.of(rows)
    changed = [*rows[:-1], event(str(rows[-1][0]), DAY.start, due=DATES[-1], amount=LONG + Decimal("1e-9"))]
    assert events.digest(EVENTS_TABLE, DAY) != RowDigest.of(changed)


@pytest.mark.slow
@pytest.mark.parametrize("clustering", [("due", "amount"), ()])
def test_a_date_and_a_decimal_may_be_the_key(
    client: bigquery.Client, tmp_path: Path, clustering: tuple[str, ...]
) -> None:
    columns = tuple(replace(column, nullable=False) for column in EVENTS.columns)
    for key, rest, distinct in (("amount", (), 2), ("due", (), 2), ("due", ("amount",), 3)):
        schema = replace(EVENTS, name="payments", columns=columns, key=key, key_rest=rest)
        table = WarehouseTable(schema, clustering, granularity=Granularity.DAY)
        warehouse = Warehouse(client, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)
        warehouse.ensure_table(table)
        whole = {"weight": 0.0, "exploited": True, "details": "{}", "number": 0, "fixed": 0}
        pairs = [(0, "1.5"), (0, "1.50"), (1, "1.5"), (1, "2")]
        rows = [event("a", DAY.start, **whole, due=due, amount=Decimal(amount)) for due, amount in pairs]
        path = write_parquet(tmp_path / f"{uuid4().hex}.parquet", rows, schema)
        warehouse.replace_window(Publication(table, DAY, CheckedFile(path, "sha", len(rows)), "run"))
        assert warehouse.window_summary(table, DAY).distinct_keys == distinct
        assert warehouse.digest(table, DAY) == RowDigest.of(rows)
        shown = warehouse.select(
            sql.spread(table, timedelta(days=1), ["amount", "due"], 6), bounds_of(DAY), "charting payments"
        )
        assert [(row["value"], row["number"]) for row in shown if row["of"] == "amount"] == [("1.5", 3), ("2", 1)]
        assert [row["value"] for row in shown if row["of"] == "due"] == ["1970-01-01", "1970-01-02"]
        (first,) = warehouse.select(sql.first_rows(table, 1), bounds_of(DAY), "looking at payments")
        assert (cell(first["due"]), cell(first["amount"])) == ("1970-01-01", "1.5")
        warehouse.ensure_table(table)


def test_a_digest_sees_a_double_change_by_its_last_bit(events: Warehouse) -> None:
    publish(events, DAY, FIRST)
    changed = [replace_score(FIRST[0], 7.800000000000001), *FIRST[1:]]
    assert events.digest(EVENTS_TABLE) == RowDigest.of(FIRST) != RowDigest.of(changed)


def replace_score(row: Row, score: float) -> Row:
    place = EVENTS.names.index("score")
    return (*row[:place], score, *row[place + 1 :])


@pytest.mark.slow
def test_many_doubles_have_one_digest_everywhere(events: Warehouse) -> None:
    rows = [event(str(place), DAY.start, score=value, weight=-value) for place, value in enumerate(doubles(20_000))]
    publish(events, DAY, rows)
    assert events.digest(EVENTS_TABLE, DAY) == RowDigest.of(rows)
