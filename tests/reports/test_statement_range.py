"""What a statement reads of its tables' time: proven from its text, or taken to be all of it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.spans import Reads, Span, span_of
from flows_platform.reports.statement_range import reads_of
from flows_platform.reports.values import ParameterType, Value

from .conftest import ORDERS, changed

INSTANTS = {"orders": "at", "hosts": "seen"}
BEFORE, THROUGH, ALL = Reads.BEFORE, Reads.THROUGH, Reads.ALL
FROM = "SELECT COUNT(*) AS n FROM orders WHERE "


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        (FROM + "at >= @start AND at < @end", BEFORE),
        (FROM + "@start <= at AND @end > at AND price > 3", BEFORE),
        (FROM + "(at > @start AND (orders.at <= @end))", THROUGH),
        (FROM + "at BETWEEN @start AND @end", THROUGH),
        (FROM + "at BETWEEN @start AND @end AND at < @end", BEFORE),
        (FROM + "AT >= @start AND At < @end", BEFORE),
        (FROM + "price > 3 AND " * 3000 + "at >= @start AND at < @end", BEFORE),
        (FROM + "at >= @start", ALL),
        (FROM + "at < @end", ALL),
        (FROM + "at < @start AND at >= @end", ALL),
        (FROM + "at >= @start AND at < @end OR price > 3", ALL),
        (FROM + "NOT (at >= @start AND at < @end)", ALL),
        (FROM + "other >= @start AND at < @end", ALL),
        (FROM + "at >= TIMESTAMP_SUB(@start, INTERVAL 1 DAY) AND at < @end", ALL),
        (FROM + "TIMESTAMP_TRUNC(at, DAY) >= @start AND at < @end", ALL),
        (FROM + "DATE(at) >= DATE(@start) AND DATE(at) < DATE(@end)", ALL),
        ("SELECT 1 AS n", ALL),
        ("SELECT n FROM (SELECT COUNT(*) AS n FROM orders WHERE at >= @start AND at < @end) WHERE n > 1", BEFORE),
        ("SELECT n FROM (SELECT COUNT(*) AS n FROM orders) WHERE at >= @start AND at < @end", ALL),
        ("WITH o AS (SELECT id FROM orders WHERE at >= @start AND at < @end) SELECT id FROM o", BEFORE),
        (FROM + "at >= @start AND at < @end UNION ALL SELECT COUNT(*) FROM orders", ALL),
        (
            FROM + "at >= @start AND at < @end UNION ALL SELECT id FROM hosts WHERE seen BETWEEN @start AND @end",
            THROUGH,
        ),
        (FROM + "at >= @start AND at < @end AND id IN (SELECT id FROM hosts)", ALL),
        (
            (
                "SELECT a.id FROM orders AS a JOIN hosts AS b ON a.id = b.id "
                "WHERE a.at >= @start AND a.at < @end AND b.seen >= @start AND b.seen < @end"
            ),
            BEFORE,
        ),
        ("SELECT a.id FROM orders AS a JOIN hosts AS b ON a.id = b.id WHERE a.at >= @start AND a.at < @end", ALL),
        ("SELECT a.id FROM orders AS a JOIN hosts AS b ON a.id = b.id WHERE at >= @start AND at < @end", ALL),
        ("SELECT a.id FROM orders AS a JOIN orders AS b ON a.id = b.id WHERE a.at >= @start AND a.at < @end", ALL),
    ],
)
def test_of_times(sql: str, reads: Reads) -> None:
    assert reads_of(sql, INSTANTS, ("start", "end"), ParameterType.TIMESTAMP) is reads


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("DATE(at) >= @start AND DATE(at) <= @end", THROUGH),
        ("DATE(at) BETWEEN @start AND @end", THROUGH),
        ("DATE(at) >= @start AND DATE(at) < @end", BEFORE),
        ("at >= TIMESTAMP(@start) AND at < TIMESTAMP(@end)", BEFORE),
        ("at >= TIMESTAMP(@start) AND at < TIMESTAMP(DATE_ADD(@end, INTERVAL 1 DAY))", THROUGH),
        ("at >= TIMESTAMP(@start) AND at < TIMESTAMP(DATE_ADD(@end, INTERVAL 2 DAY))", ALL),
        ("at >= TIMESTAMP(@start) AND at < TIMESTAMP(DATE_ADD(@end, INTERVAL 1 MONTH))", ALL),
        ("at >= TIMESTAMP(@start) AND at <= TIMESTAMP(DATE_ADD(@end, INTERVAL 1 DAY))", ALL),
        ("DATE(at, 'Asia/Tokyo') >= @start AND DATE(at) <= @end", ALL),
        ("at >= TIMESTAMP(@start, 'Asia/Tokyo') AND DATE(at) <= @end", ALL),
        ("EXTRACT(YEAR FROM at) >= 1995 AND DATE(at) <= @end", ALL),
    ],
)
def test_of_days(condition: str, reads: Reads) -> None:
    assert reads_of(FROM + condition, INSTANTS, ("start", "end"), ParameterType.DATE) is reads


def test_spans() -> None:
    first, last = datetime(2024, 1, 1, 5, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    assert span_of(BEFORE, first, last) == Span(first, last, last)
    assert span_of(THROUGH, first, last) == Span(first, last + timedelta(microseconds=1), last)
    assert span_of(ALL, first, last) is None
    monday, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    assert span_of(THROUGH, date(2024, 1, 1), date(2024, 1, 2)) == Span(monday, end, end)
    assert span_of(BEFORE, date(2024, 1, 1), date(2024, 1, 3)) == Span(monday, end, end)


def test_spans_end_with_the_last_moment() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert span_of(THROUGH, last, last) == Span(last, last, last)
    assert span_of(THROUGH, last.date(), last.date()) == Span(
        last.replace(hour=0, minute=0, second=0, microsecond=0), last, last
    )


@pytest.mark.parametrize(
    ("changes", "spans"),
    [
        ({}, True),
        ({"longest": None, "sql": changed()["sql"]}, False),
        ({"sql": changed()["sql"].replace("at < @end", "id < UNIX_SECONDS(@end)")}, False),
        (
            {
                "longest": {"parameters": ["start", "end"], "days": 9, "reads": "before"},
                "sql": changed()["sql"].replace("at < @end", "id < UNIX_SECONDS(@end)"),
            },
            False,
        ),
    ],
)
def test_a_report_has_the_range_that_its_statement_shows(changes: dict[str, Any], *, spans: bool) -> None:
    report = ReportDeclaration.model_validate(changed(**changes)).expanded({"orders": ORDERS})
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    values: dict[str, Value] = {"start": first, "end": last}
    assert report.span(values) == (Span(first, last, last) if spans else None)
    again = ReportDeclaration.model_validate(report.model_dump(mode="json", exclude_unset=True))
    assert (again.span(values), again.digest) == (report.span(values), report.digest)


@pytest.mark.parametrize("form", [{"top": {"of": "orders", "by": "customer"}}, {"series": {"of": "orders"}}])
def test_short_forms_have_their_range(form: dict[str, Any]) -> None:
    report = ReportDeclaration.model_validate({"name": "n", "description": "d", **form}).expanded({"orders": ORDERS})
    assert report.longest is not None
    assert report.longest.reads is BEFORE
