"""The routes of the guide to a custom API in Python, by base URL: what it does is kept, and its faults are fixed.

FLOWS_TEST_REPORTS_URL is the base URL of a server over the same orders, such as one that `flows report demo` printed;
without it, the tests start a demo of their own. Answers are compared with DuckDB's over the raw rows.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
import requests

from flows_platform.local.ports import free_port
from flows_platform.sources.tpch_orders.generate import connected
from tests.end_to_end.test_report_demo import running_demo

URL = os.environ.get("FLOWS_TEST_REPORTS_URL", "")
FAMILIES = ("connector", "snowpark")
FIRST, LAST = date(1992, 1, 1), date(1998, 8, 2)
CLERKS = 1000
TIMEOUT = 60
DRAWN = 12  # ranges and clerks that are drawn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the demo loads 80 windows: half a minute on a quiet machine


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL, without a slash at its end."""
    if URL:
        yield URL.rstrip("/")
        return
    home, port = tmp_path_factory.mktemp("guide") / "flows", free_port()
    with running_demo(home, port) as (_, lines):
        assert f"Base URL      http://127.0.0.1:{port}" in lines
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The raw orders."""
    with connected(tmp_path_factory.mktemp("raw") / "raw.duckdb") as connection:
        connection.execute("CALL dbgen(sf = 0.01)")
        yield connection


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asked(url: str, **parameters: str) -> requests.Response:
    return requests.get(url, params=parameters, timeout=TIMEOUT)


def rows(url: str, **parameters: str) -> list[dict[str, Any]]:
    answer = asked(url, **parameters)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def best(orders: duckdb.DuckDBPyConnection, first: date, last: date) -> list[dict[str, Any]]:
    """The ten customers with the highest sums, both days included; of equal sums the lower number."""
    found = orders.execute(
        "SELECT o_custkey, sum(o_totalprice) FROM orders WHERE o_orderdate BETWEEN ? AND ? "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
        [first, last],
    ).fetchall()
    return [{"O_CUSTKEY": key, "SUM_TOTALPRICE": f"{total:.2f}"} for key, total in found]


def by_month(orders: duckdb.DuckDBPyConnection, clerk: str, year: int) -> list[dict[str, Any]]:
    """A clerk's sums by month, without the months that have none."""
    found = orders.execute(
        "SELECT month(o_orderdate), sum(o_totalprice) FROM orders WHERE o_clerk = ? AND year(o_orderdate) = ? "
        "GROUP BY 1 ORDER BY 1",
        [f"Clerk#{clerk}", year],
    ).fetchall()
    return [{"O_CLERK": f"Clerk#{clerk}", "MONTH": month, "SUM_TOTALPRICE": f"{total:.2f}"} for month, total in found]


def top10(base: str, family: str) -> str:
    return f"{base}/{family}/customers/top10"


def clerk_year(base: str, family: str, clerk: str, year: object) -> str:
    return f"{base}/{family}/clerk/{clerk}/yearly_sales/{year}"


# What is kept.


def test_a_range_has_defaults_also_where_it_is_empty(base: str, family: str, orders: duckdb.DuckDBPyConnection) -> None:
    quarter = best(orders, date(1995, 1, 1), date(1995, 3, 31))
    assert len(quarter) == 10
    assert rows(top10(base, family)) == quarter
    assert rows(top10(base, family), start_range="", end_range="") == quarter
    assert rows(top10(base, family), start_range="1995-01-01", end_range="1995-03-31") == quarter
    february = best(orders, date(1995, 2, 1), date(1995, 3, 31))
    assert rows(top10(base, family), start_range="1995-02-01") == february


def test_a_date_needs_no_leading_zeros(base: str, family: str, orders: duckdb.DuckDBPyConnection) -> None:
    found = rows(top10(base, family), start_range="1995-2-1", end_range="1995-2-9")
    assert found == best(orders, date(1995, 2, 1), date(1995, 2, 9))


def test_both_ends_are_included_and_a_reversed_range_is_empty(
    base: str, family: str, orders: duckdb.DuckDBPyConnection
) -> None:
    day = date(1996, 2, 29)
    found = rows(top10(base, family), start_range=str(day), end_range=str(day))
    assert found == best(orders, day, day) != []
    assert rows(top10(base, family), start_range="1996-03-01", end_range="1996-02-29") == []


def test_ranges_that_are_drawn(base: str, family: str, orders: duckdb.DuckDBPyConnection) -> None:
    random = Random(11)
    for _ in range(DRAWN):
        first = FIRST + timedelta(days=random.randrange((LAST - FIRST).days))
        last = first + timedelta(days=random.choice((0, 1, 30, 365, 3650)))
        found = rows(top10(base, family), start_range=str(first), end_range=str(last))
        assert found == best(orders, first, last), (first, last)


def test_clerks_that_are_drawn(base: str, family: str, orders: duckdb.DuckDBPyConnection) -> None:
    random = Random(12)
    for _ in range(DRAWN):
        clerk, year = f"{random.randrange(1, CLERKS + 1):09}", random.randrange(FIRST.year - 1, LAST.year + 2)
        assert rows(clerk_year(base, family, clerk, year)) == by_month(orders, clerk, year), (clerk, year)


def test_a_clerk_is_what_is_written(base: str, family: str, orders: duckdb.DuckDBPyConnection) -> None:
    assert rows(clerk_year(base, family, "000000002", 1995)) == by_month(orders, "000000002", 1995) != []
    assert rows(clerk_year(base, family, "2", 1995)) == []
    assert rows(clerk_year(base, family, "999999999", 1995)) == []


def test_programs_hear_what_they_heard_at_the_root_and_where_nothing_is(base: str) -> None:
    answer = requests.get(f"{base}/", headers={"Accept": "application/json"}, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (200, {"result": "Nothing to see here"})
    for path in ("/connector", "/connector/customers/top11", "/nothing"):
        answer = asked(f"{base}{path}")
        assert (answer.status_code, answer.json()["error"]) == (404, "Not found!")


def test_the_page_has_two_forms(base: str) -> None:
    page = asked(f"{base}/test")
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    assert page.text.count("<form") >= 2
    assert all(f">{family}</option>" in page.text for family in FAMILIES)


# What is fixed.


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("start_range=yesterday", "start_range"),
        ("start_range=1995-02-30", "start_range"),
        ("end_range=1995-01-01'%20OR%20'1'='1", "end_range"),
        ("start_range=1995-01-01&start_range=1996-01-01", "start_range"),
        ("start=1995-01-01", "start"),
    ],
)
def test_a_bad_range_is_a_problem_that_names_it(base: str, family: str, query: str, parameter: str) -> None:
    refused(asked(f"{top10(base, family)}?{query}"), parameter)


@pytest.mark.parametrize(
    ("clerk", "year", "parameter"),
    [
        ("%C2%B2", "1995", "clerk"),  # a digit for Python's isdigit()
        ("1'%20OR%201=1%20--", "1995", "clerk"),
        ("000000002", "1_995", "year"),
        ("000000002", "%2B1995", "year"),
        ("000000002", "%EF%BC%91%EF%BC%99%EF%BC%99%EF%BC%95", "year"),  # digits of full width
        ("000000002", "nineteen", "year"),
        ("000000002", "99999999999999999999", "year"),
    ],
)
def test_other_digits_are_a_problem(base: str, family: str, clerk: str, year: str, parameter: str) -> None:
    refused(asked(clerk_year(base, family, clerk, year)), parameter)


def refused(answer: requests.Response, parameter: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    found = answer.json()
    assert (found["parameter"], bool(found["allowed"]), "SELECT" in answer.text) == (parameter, True, False)


def test_no_value_is_text_of_the_statement(base: str, orders: duckdb.DuckDBPyConnection) -> None:
    for payload in ("'; DROP TABLE tpch_orders; --", "' OR '1'='1", "%27%20UNION%20SELECT%201--", "1 OR 1=1", "`x`"):
        assert asked(top10(base, "connector"), start_range=payload).status_code == 400
        assert asked(clerk_year(base, "connector", quote(payload, safe=""), 1995)).status_code == 400
    assert rows(top10(base, "connector")) == best(orders, date(1995, 1, 1), date(1995, 3, 31))


def test_equal_sums_come_in_one_order_and_at_once(base: str, orders: duckdb.DuckDBPyConnection) -> None:
    days = [FIRST + timedelta(days=index) for index in range(16)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda day: rows(top10(base, "connector"), start_range=str(day)), days * 2))
    assert found == [best(orders, day, date(1995, 3, 31)) for day in days] * 2


def test_the_page_runs_nothing_that_it_is_given(base: str) -> None:
    script = "<script>alert(1)</script>"
    page = asked(f"{base}/test", form="customers", family="connector", start_range=script, end_range=script)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert script not in page.text


def test_other_methods_and_formats_are_named(base: str, family: str) -> None:
    answer = requests.post(top10(base, family), timeout=TIMEOUT)
    assert (answer.status_code, {"GET", "HEAD"} <= set(answer.headers["Allow"].replace(" ", "").split(","))) == (
        405,
        True,
    )
    answer = requests.get(top10(base, family), headers={"Accept": "image/png"}, timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["Content-Type"]) == (406, "application/problem+json")


def test_an_unchanged_answer_is_a_304(base: str, family: str) -> None:
    first = asked(top10(base, family))
    again = requests.get(top10(base, family), headers={"If-None-Match": first.headers["ETag"]}, timeout=TIMEOUT)
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["Record-Count"] == "10"
    assert first.headers["Data-As-Of"].endswith("Z")
