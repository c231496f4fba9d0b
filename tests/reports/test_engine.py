"""Reports in the emulator: exact values, bound parameters, limits, and the columns of a dry run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import PlatformError, WarehouseError, WarehouseUnavailable
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.reports.parameters import values_of
from flows_platform.reports.runner import NoTable, NotComputable, TooManyBytes, TooManyRows, TooSlow
from flows_platform.warehouse.schema import BIGQUERY_TYPES
from flows_platform.warehouse.warehouse import emulator_client
from tests.conditions import eventually
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

from .conftest import EXACT, NEWEST, ORDERS, ROWS, changed


def rows_of(engine: ReportEngine, report: ReportDeclaration, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.run(report, values_of(report.parameters, given, NEWEST)).table.to_pylist()
    return found


def test_sums_are_exact_and_in_order(engine: ReportEngine, report: ReportDeclaration) -> None:
    bob = {"customer": "bob", "total": EXACT, "orders": 1}
    ann = {"customer": "ann", "total": Decimal("10.750000000"), "orders": 2}
    assert rows_of(engine, report) == [bob, ann]
    assert rows_of(engine, report, top="1") == [bob]
    assert rows_of(engine, report, least="0.3", customers="ann") == [{**ann, "total": Decimal("10.5"), "orders": 1}]
    assert rows_of(engine, report, end="2024-01-01") == []


def test_a_hostile_text_is_a_value(engine: ReportEngine, report: ReportDeclaration) -> None:
    hostile = str(ROWS[3][2])
    assert rows_of(engine, report, customers=[hostile])[0]["customer"] == hostile
    assert len(rows_of(engine, report)) == 2


def test_more_rows_than_allowed_are_an_error(engine: ReportEngine) -> None:
    report = ReportDeclaration.model_validate(
        changed(
            parameters=[],
            longest=None,
            sql="SELECT id FROM orders ORDER BY id LIMIT 3",
            columns=[{"name": "id", "type": "int64"}],
            limits={"rows": 3},
        )
    )
    assert len(rows_of(engine, report)) == 3
    short = report.model_copy(update={"limits": report.limits.model_copy(update={"rows": 2})})
    with pytest.raises(TooManyRows, match=r"the answer has 3 rows, and `limits\.rows` allows 2"):
        rows_of(engine, short)


def test_every_type_is_bound_and_answered(engine: ReportEngine) -> None:
    types = ["int64", "float64", "numeric", "bool", "string", "date", "timestamp"]
    given = ["-5", "0.1", "0.000000001", "true", "ü'\"\\", "2024-02-29", "2024-02-29T23:59:59.999999Z"]
    selected = ", ".join(f"@p{index} AS c{index}" for index in range(len(types)))
    arrays = ", ".join(f"ARRAY_LENGTH(@a{index}) AS n{index}" for index in range(len(types)))
    report = ReportDeclaration.model_validate(
        changed(
            parameters=[
                *({"name": f"p{index}", "type": kind} for index, kind in enumerate(types)),
                *({"name": f"a{index}", "type": kind, "many": True} for index, kind in enumerate(types)),
            ],
            longest=None,
            sql=f"SELECT {selected}, {arrays} FROM orders ORDER BY id LIMIT 1",
            columns=[
                *({"name": f"c{index}", "type": kind} for index, kind in enumerate(types)),
                *({"name": f"n{index}", "type": "int64"} for index in range(len(types))),
            ],
        )
    )
    values = {f"p{index}": text for index, text in enumerate(given)}
    values |= {f"a{index}": f"{text},{text}" for index, text in enumerate(given)}
    (row,) = rows_of(engine, report, **values)
    expected = [-5, 0.1, Decimal("1E-9"), True, given[4], date(2024, 2, 29)]
    assert list(row.values())[:6] == expected
    assert row["c6"] == datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)
    assert [row[f"n{index}"] for index in range(len(types))] == [2] * len(types)


def test_a_dry_run_finds_other_columns(engine: ReportEngine, report: ReportDeclaration) -> None:
    assert engine.column_faults(report) == []
    first, second, third = changed()["columns"]
    for columns, at in (
        ([second, first, third], ("columns", 0)),
        ([first, {**second, "type": "int64"}, third], ("columns", 1)),
        ([first, second], ("columns",)),
    ):
        other = ReportDeclaration.model_validate(changed(columns=columns))
        (fault,) = engine.column_faults(other)
        assert fault.at == at
        assert "the statement gives customer STRING, total NUMERIC, orders INTEGER" in fault.why
    unknown = ReportDeclaration.model_validate(changed(sql=changed()["sql"].replace("price >= ", "prize >= ")))
    with pytest.raises(PlatformError, match="prize"):
        engine.column_faults(unknown)


def test_an_answer_has_the_declared_columns(engine: ReportEngine) -> None:
    first, second, third = changed()["columns"]
    other = ReportDeclaration.model_validate(changed(columns=[first, third, second]))
    with pytest.raises(WarehouseError, match="does not give its declared columns: the statement gives customer STRING"):
        rows_of(engine, other)
    wider = ReportDeclaration.model_validate(changed(columns=[first, second, {**third, "type": "numeric"}]))
    with pytest.raises(WarehouseError, match="orders INTEGER; declared are customer STRING, total NUMERIC, orders NUM"):
        rows_of(engine, wider)


def test_a_table_that_does_not_exist_yet_is_named(client: bigquery.Client, report: ReportDeclaration) -> None:
    client.create_dataset(name := f"empty_{uuid4().hex}")
    engine = ReportEngine(client, name, "US")
    with pytest.raises(NoTable, match="orders"):
        rows_of(engine, report)
    with pytest.raises(NoTable, match=r"checking the report top_customers: .*orders"):
        engine.column_faults(report)


def test_a_number_that_json_lacks_is_an_error(engine: ReportEngine) -> None:
    report = ReportDeclaration.model_validate(
        changed(
            parameters=[],
            longest=None,
            sql="SELECT CAST('nan' AS FLOAT64) AS x FROM orders ORDER BY id LIMIT 1",
            columns=[{"name": "x", "type": "float64"}],
        )
    )
    with pytest.raises(NotComputable, match=r"infinite or not a number; use SAFE_DIVIDE"):
        rows_of(engine, report)


OF_ONE_VALUE = [
    ("int64", "@v + 1", "int64", "9223372036854775807", "integer overflow"),
    ("int64", "ABS(@v)", "int64", "-9223372036854775808", "overflow"),
    ("int64", "DIV(10, @v)", "int64", "0", "division by zero"),
    ("numeric", "CAST(@v * @v AS NUMERIC)", "numeric", "9" * 29, "integer overflow"),
    ("int64", "TIMESTAMP_SECONDS(@v)", "timestamp", "4611686018427387904", "out of range"),
    ("date", "DATE_ADD(@v, INTERVAL 1 DAY)", "date", "9999-12-31", "a date or time is out of range"),
    ("timestamp", "TIMESTAMP_ADD(@v, INTERVAL 1 DAY)", "timestamp", "9999-12-31", "a date or time is out of range"),
    ("string", "CAST(@v AS INT64)", "int64", "secret", "could not convert"),
    ("string", "CAST(@v AS DATE)", "date", "secret", "invalid date"),
    ("float64", "LN(@v)", "float64", "-1", "cannot take logarithm"),
    ("float64", "EXP(@v)", "float64", "1e308", "a number is infinite or not a number"),
    ("string", "REGEXP_CONTAINS('a', @v)", "bool", "(secret", "a value does not fit"),
]


@pytest.mark.parametrize(("kind", "expression", "type_", "value", "why"), OF_ONE_VALUE)
def test_values_that_cannot_be_computed_are_not_the_fault_of_the_server(
    engine: ReportEngine, *, kind: str, expression: str, type_: str, value: str, why: str
) -> None:
    good = {"string": "2024-01-01" if type_ == "date" else "1"}.get(kind)
    report = ReportDeclaration.model_validate(
        changed(
            parameters=[{"name": "v", "type": kind, **({"default": good} if good else {})}],
            longest=None,
            sql=f"SELECT {expression} AS x FROM orders ORDER BY x LIMIT 1",
            columns=[{"name": "x", "type": type_}],
        )
    )
    with pytest.raises(NotComputable) as caught:
        rows_of(engine, report, v=value)
    assert caught.value.why == why
    assert "secret" not in caught.value.why


def refusing(report: ReportDeclaration, reason: str, message: str, *, statement: bool) -> Callable[[Asked], Answer]:
    """A warehouse that refuses to run the report with BigQuery's words; `statement`: whether dry runs pass."""
    fields = [{"name": one.name, "type": BIGQUERY_TYPES[one.type]} for one in report.columns]
    job = {
        "jobReference": {"projectId": "local", "jobId": "j", "location": "US"},
        "configuration": {"jobType": "QUERY", "dryRun": True, "query": {"query": ""}},
        "statistics": {"query": {"schema": {"fields": fields}}},
        "status": {"state": "DONE"},
    }
    error = {"code": 400, "message": message, "errors": [{"reason": reason, "message": message}]}

    def respond(asked: Asked) -> Answer:
        return document(job) if asked.path.endswith("/jobs") and statement else document({"error": error}, 400)

    return respond


@pytest.mark.parametrize(
    ("reason", "message", "kind", "said"),
    [
        ("invalidQuery", "int64 overflow: 9223372036854775807 + 1", NotComputable, "int64 overflow"),
        ("invalidQuery", "division by zero: 1 / 0", NotComputable, "division by zero"),
        ("invalidQuery", "Bad int64 value: secret", NotComputable, "bad int64"),
        ("invalidQuery", "Adding 1 DAY to date 9999-12-31 causes overflow", NotComputable, "overflow"),
        ("invalidQuery", "Invalid timestamp: 'secret'", NotComputable, "invalid timestamp"),
        ("invalidQuery", "Regular expression: missing ): (secret", NotComputable, "a value does not fit"),
        ("resourcesExceeded", "Resources exceeded during query execution", NotComputable, "needs more than"),
        ("responseTooLarge", "Response too large to return", NotComputable, "needs more than"),
        ("stopped", "Job execution was cancelled: Job timed out after 30s", TooSlow, "took longer than 30 s"),
        ("bytesBilledLimitExceeded", "Limit is 10 bytes. 20 or higher required.", TooManyBytes, "20 bytes would be"),
        ("invalidQuery", "Could not serialize access to table t", WarehouseUnavailable, "serialize"),
        ("accessDenied", "Access Denied: secret", WarehouseError, "secret"),
    ],
)
def test_refusals_of_bigquery(
    report: ReportDeclaration, tmp_path: Path, *, reason: str, message: str, kind: type[PlatformError], said: str
) -> None:
    server = SmallServer(refusing(report, reason, message, statement=True))
    with (
        server,
        emulator_client(server.origin, "local", "US", tmp_path / "key") as client,
        pytest.raises(kind) as caught,
    ):
        rows_of(ReportEngine(client, "d", "US"), report)
    assert type(caught.value) is kind
    assert said in getattr(caught.value, "why", caught.value.message)


def test_an_invalid_query_that_no_dry_run_accepts_is_wrong(report: ReportDeclaration, tmp_path: Path) -> None:
    server = SmallServer(refusing(report, "invalidQuery", "Unrecognized name: overflow", statement=False))
    with (
        server,
        emulator_client(server.origin, "local", "US", tmp_path / "key") as client,
        pytest.raises(WarehouseError, match="Unrecognized name"),
    ):
        rows_of(ReportEngine(client, "d", "US"), report)


def test_rows_that_cannot_be_computed_are_not_told(engine: ReportEngine) -> None:
    report = ReportDeclaration.model_validate(
        changed(
            parameters=[],
            longest=None,
            sql="SELECT CAST(customer AS INT64) AS x FROM orders ORDER BY x LIMIT 1",
            columns=[{"name": "x", "type": "int64"}],
        )
    )
    with pytest.raises(NotComputable, match=r"ann|bob|O'Brien") as caught:
        rows_of(engine, report)
    assert caught.value.why == "could not convert"


def test_a_statement_that_is_wrong_is_the_fault_of_the_server(engine: ReportEngine) -> None:
    report = ReportDeclaration.model_validate(changed(sql=changed()["sql"].replace("price >= ", "prize >= ")))
    with pytest.raises(WarehouseError, match="prize"):
        rows_of(engine, report)


@pytest.mark.parametrize("per", ["hour", "day", "month", "year"])
def test_a_series_has_every_slice(engine: ReportEngine, per: str) -> None:
    short = ReportDeclaration.model_validate(
        {
            "name": "by_time",
            "description": "Sums.",
            "series": {"of": "orders", "entity": "customer", "sum": "price", "per": ["hour", "day", "month", "year"]},
        }
    )
    report = short.expanded({"orders": ORDERS})
    values = {"start": "2024-01-01T00:30:00Z", "end": "2024-03-01", "customer": "ann", "per": per}
    rows = rows_of(engine, report, **values)
    assert {"hour": 60 * 24, "day": 60, "month": 2, "year": 1}[per] == len(rows)
    assert sum(row["price"] for row in rows) == Decimal("0.25")
    assert all(later["slice"] > row["slice"] for row, later in pairwise(rows))
    assert engine.column_faults(report) == []


def test_a_series_may_leave_empty_slices_out(engine: ReportEngine) -> None:
    short = ReportDeclaration.model_validate(
        {"name": "n", "description": "Rows.", "series": {"of": "orders", "per": ["month"], "fill": False}}
    )
    rows = rows_of(engine, short.expanded({"orders": ORDERS}), start="2024-01-01", end="2024-12-01")
    assert [(row["slice"].month, row["rows"]) for row in rows] == [(1, 3), (2, 1), (3, 1)]


def test_top_shows_the_highest(engine: ReportEngine) -> None:
    short = ReportDeclaration.model_validate(
        {"name": "t", "description": "Top.", "top": {"of": "orders", "by": "customer", "sum": "price"}}
    )
    rows = rows_of(engine, short.expanded({"orders": ORDERS}), start="2024-01-01", end="2024-03-02", top="2")
    assert [row["customer"] for row in rows] == ["bob", "ann"]


def test_the_statement_is_sent_as_it_is_written(
    client: bigquery.Client, report: ReportDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, bigquery.QueryJobConfig, float]] = []

    def refuse(sql: str, *, job_config: bigquery.QueryJobConfig, wait_timeout: float, **_: object) -> None:
        sent.append((sql, job_config, wait_timeout))
        raise ConnectionError("away")

    monkeypatch.setattr(client, "query_and_wait", refuse)
    engine = ReportEngine(client, "d", "US")
    with pytest.raises(PlatformError, match="running the report top_customers: no answer from the warehouse"):
        engine.run(report, values_of(report.parameters, {}, NEWEST))
    ((sql, config, seconds),) = sent
    assert sql == report.sql
    assert (config.maximum_bytes_billed, config.job_timeout_ms, seconds) == (1_000_000_000, "30000", 30)
    assert config.labels == {"report": "top-customers"}


SLOW = ReportDeclaration.model_validate(
    changed(
        parameters=[],
        longest=None,
        sql="SELECT COUNT(*) AS n FROM orders CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS a "
        "CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE a * b = 7 ORDER BY n LIMIT 1",
        columns=[{"name": "n", "type": "int64"}],
    )
)


def is_running(client: bigquery.Client) -> bool:
    return any("UNNEST(GENERATE_ARRAY(1, 1000000))" in job.query for job in client.list_jobs(state_filter="running"))


def test_a_query_is_cancelled_by_its_label(engine: ReportEngine, client: bigquery.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(engine.run, SLOW, {}, "label-1")
        assert eventually(lambda: is_running(client))
        assert not engine.cancel("label-2")
        # The emulator may not have begun the statement that it is to stop.
        assert eventually(lambda: running.done() or (engine.cancel("label-1") and running.done()))
        with pytest.raises(WarehouseError, match="cancelled"):
            running.result()
    assert eventually(lambda: not is_running(client))


@pytest.mark.slow
def test_a_query_that_takes_too_long_is_cancelled(engine: ReportEngine, client: bigquery.Client) -> None:
    short = SLOW.model_copy(update={"limits": SLOW.limits.model_copy(update={"seconds": 1})})
    with pytest.raises(TooSlow, match="it took longer than 1 s and was cancelled"):
        engine.run(short, {})
    assert eventually(lambda: not is_running(client))
