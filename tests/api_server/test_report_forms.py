"""How answers of reports show their rows: numbers as texts, rows alone, and the paths of the guide's own server."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from api_server.config import ServerConfig
from api_server.http.tokens import Scope, create_token
from api_server.reports.feature import ReportsFeature
from flows_platform.columns.batches import arrow_schema
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import ReportRunner, Rows
from flows_platform.reports.service import ReportService
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile

from .conftest import Server, running
from .test_reports import INJECTIONS, NEWEST, get, problem, send

COLUMNS = [
    {"name": "o_custkey", "type": "int64"},
    {"name": "sum_totalprice", "type": "numeric", "decimals": 2},
]
TOP10: dict[str, Any] = {
    "name": "customers_top10",
    "description": "Customers with the highest sums.",
    "over": ["orders"],
    "parameters": [
        {"name": "start_range", "type": "date", "default": "1995-01-01"},
        {"name": "end_range", "type": "date", "default": "1995-03-31"},
    ],
    "longest": {"parameters": ["start_range", "end_range"], "days": 36_600},
    "sql": "SELECT o_custkey, SUM(o_totalprice) AS sum_totalprice FROM orders "
    "WHERE o_orderdate >= @start_range AND o_orderdate <= @end_range "
    "GROUP BY o_custkey ORDER BY sum_totalprice DESC, o_custkey LIMIT 10",
    "columns": COLUMNS,
    "paths": ["/connector/customers/top10", "/snowpark/customers/top10"],
    "uses": {"original": True},
}
YEARLY: dict[str, Any] = {
    "name": "clerk_yearly_sales",
    "description": "Sales of a clerk by month.",
    "over": ["orders"],
    "parameters": [
        {"name": "clerk", "type": "string", "pattern": "[0-9]+"},
        {"name": "year", "type": "int64", "minimum": 1, "maximum": 9999},
        {"name": "least", "type": "numeric", "default": 0},
    ],
    "sql": "SELECT o_custkey, SUM(o_totalprice) AS sum_totalprice FROM orders WHERE o_clerk = CONCAT('Clerk#', @clerk) "
    "AND EXTRACT(YEAR FROM o_orderdate) = @year AND o_totalprice > @least GROUP BY o_custkey "
    "ORDER BY o_custkey LIMIT 12",
    "columns": COLUMNS,
    "paths": ["/connector/clerk/{clerk}/yearly_sales/{year}"],
    "uses": {"original": True},
}
PLAIN: dict[str, Any] = {**YEARLY, "name": "plain", "uses": {}, "paths": ["/plain/{clerk}/{year}"]}
REPORTS = [ReportDeclaration.model_validate(one) for one in (TOP10, YEARLY, PLAIN)]
TABLE = pa.table(
    [[2**53 + 1, None], [Decimal("398177.600000000"), Decimal("1.125000000")]],
    schema=arrow_schema(REPORTS[0].schema_of_rows),
)
TOP, CLERK = "/connector/customers/top10", "/connector/clerk/2/yearly_sales/1995"
ORIGINAL = [
    {"O_CUSTKEY": 2**53 + 1, "SUM_TOTALPRICE": "398177.60"},
    {"O_CUSTKEY": None, "SUM_TOTALPRICE": "1.125"},
]


class Fixed(ReportRunner):
    """Answers with the table, and keeps the values that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Value]] = []

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], _label: str = "", /) -> Rows:
        self.asked.append({name: str(value) for name, value in values.items()})
        return Rows(TABLE.rename_columns([column.name for column in report.columns]), 1.0)


@pytest.fixture
def runs() -> Fixed:
    return Fixed()


@pytest.fixture
def server(tmp_path: Path, runs: Fixed) -> Iterator[Server]:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", NEWEST)
    service = ReportService(REPORTS, runs, VersionsFile(versions), AnswerCache(tmp_path / "answers"))
    with running(ServerConfig(), [ReportsFeature(service)]) as server:
        yield server


def found(server: Server, target: str) -> Any:
    response, body = get(server, target)
    assert response.status == 200, body
    return json.loads(body, parse_float=Decimal)


def test_numbers_may_be_texts_and_rows_may_be_alone(server: Server) -> None:
    path = "/api/v1/reports/customers_top10"
    exact = [
        {"o_custkey": 2**53 + 1, "sum_totalprice": Decimal("398177.6")},
        {"o_custkey": None, "sum_totalprice": Decimal("1.125")},
    ]
    texts = [
        {"o_custkey": "9007199254740993", "sum_totalprice": "398177.60"},
        {"o_custkey": None, "sum_totalprice": "1.125"},
    ]
    assert found(server, path)["rows"] == exact
    assert found(server, f"{path}?shape=rows") == exact
    assert found(server, f"{path}?numbers=text")["rows"] == texts
    assert found(server, f"{path}?shape=rows&numbers=text") == texts
    lines = get(server, f"{path}.ndjson?numbers=text")[1].splitlines()
    assert [json.loads(line) for line in lines] == texts
    assert b"398177.60" in get(server, f"{path}.csv")[1]
    query = {"Content-Type": "application/json"}
    body = send(server, "POST", f"{path}/query?shape=rows&numbers=text", query, b'{"end_range": "1996-01-01"}')[1]
    assert json.loads(body) == texts
    etags = {get(server, f"{path}{more}")[0].headers["ETag"] for more in ("", "?shape=rows", "?numbers=text", ".csv")}
    assert len(etags) == 4


@pytest.mark.parametrize(
    ("query", "parameter", "why"),
    [
        ("numbers=exact", "numbers", "numbers is 'exact'"),
        ("shape=row", "shape", "shape is 'row'"),
        ("shape=", "shape", "shape is ''"),
        ("shape=rows&format=csv", "shape", "shape is for json; the answer is csv"),
        ("numbers=text&format=arrow", "numbers", "numbers is for json and ndjson; the answer is arrow"),
        ("start_range=", "start_range", "start_range is ''"),
        ("start_range=1995-2-1", "start_range", "start_range is '1995-2-1'"),
    ],
)
def test_other_forms_are_refused(server: Server, query: str, parameter: str, why: str) -> None:
    status, refused = problem(server, f"/api/v1/reports/customers_top10?{query}")
    assert (status, refused["parameter"]) == (400, parameter)
    assert why in refused["detail"]


@pytest.mark.parametrize("path", TOP10["paths"])
def test_the_guides_paths_answer_as_it_did(server: Server, runs: Fixed, path: str) -> None:
    defaults = {"start_range": "1995-01-01", "end_range": "1995-03-31"}
    for query, changes in (
        ("", {}),
        ("?start_range=&end_range=", {}),
        ("?start_range=1995-2-1", {"start_range": "1995-02-01"}),
        ("?start_range=1995-01-15&end_range=1995-01-15", {"start_range": "1995-01-15", "end_range": "1995-01-15"}),
    ):
        assert found(server, path + query) == ORIGINAL
        assert runs.asked[-1] == {**defaults, **changes} or not changes
    response, body = get(server, f"{path}?start_range=1995-03-01&end_range=1995-02-01")
    assert (response.status, body, response.headers["Record-Count"]) == (200, b"[]\n", "0")
    assert len(runs.asked) == 3


def test_a_path_gives_parameters(server: Server, runs: Fixed) -> None:
    assert found(server, CLERK) == ORIGINAL
    assert found(server, f"{CLERK}?least=2.5") == ORIGINAL
    assert runs.asked == [
        {"clerk": "2", "year": "1995", "least": "0"},
        {"clerk": "2", "year": "1995", "least": "2.5"},
    ]
    document = found(server, "/plain/000000002/1995?numbers=text")
    assert (document["report"], document["rows"][0]["o_custkey"]) == ("plain", "9007199254740993")
    assert runs.asked[-1]["clerk"] == "000000002"
    response, _ = send(server, "HEAD", CLERK)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_the_guides_paths_have_every_format(server: Server, wire_format: WireFormat) -> None:
    response, body = get(server, f"{TOP}?format={wire_format}")
    assert response.headers["Content-Type"].partition(";")[0] == wire_format.content_type
    if wire_format is WireFormat.ARROW:
        table = pa.ipc.open_stream(body).read_all()
        assert table.schema.names == ["O_CUSTKEY", "SUM_TOTALPRICE"]
        assert table.column(1).to_pylist() == TABLE.column(1).to_pylist()
    else:
        assert b"SUM_TOTALPRICE" in body


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        (f"{TOP}?start_range=yesterday", "start_range"),
        (f"{TOP}?start_range=1995-02-30", "start_range"),
        (f"{TOP}?start_range=1995-1-01%20", "start_range"),
        (f"{TOP}?start_range=1995-01-01'%20OR%201=1", "start_range"),
        (f"{TOP}?start=1995-01-01", "start"),
        (f"{TOP}?start_range=1995-01-01&start_range=1995-01-02", "start_range"),
        (CLERK.replace("/2/", "/%C2%B2/"), "clerk"),
        (CLERK.replace("/2/", "/2'/"), "clerk"),
        (CLERK.replace("1995", "1_995"), "year"),
        (CLERK.replace("1995", "%2B1995"), "year"),
        (CLERK.replace("1995", "%EF%BC%91995"), "year"),
        (f"{CLERK}?clerk=3", "clerk"),
    ],
)
def test_what_the_guide_answers_as_html_is_a_problem(server: Server, runs: Fixed, target: str, parameter: str) -> None:
    status, refused = problem(server, target)
    assert (status, refused["type"], refused["parameter"]) == (400, "/#invalid-parameter", parameter)
    assert not runs.asked


def test_no_payload_in_a_path_reaches_the_statement(server: Server, runs: Fixed) -> None:
    for payload in INJECTIONS:
        escaped = quote(payload, safe="")
        for target in (
            CLERK.replace("/2/", f"/{escaped}/"),
            CLERK.replace("1995", escaped),
            f"{CLERK}?least={escaped}",
            f"{TOP}?start_range={escaped}",
        ):
            assert get(server, target)[0].status in {400, 404}, target  # a slash ends the segment
    assert not runs.asked


def test_the_root_and_what_is_not_there_answer_the_guides_clients(server: Server) -> None:
    response, body = get(server, "/", {"Accept": "application/json"})
    assert (response.status, json.loads(body), response.headers["Vary"]) == (
        200,
        {"result": "Nothing to see here"},
        "Accept",
    )
    for accept in ("*/*", "text/html, application/json;q=0.9", ""):
        assert get(server, "/", {"Accept": accept})[0].headers["Content-Type"].startswith("text/html")
    for path in ("/connector", "/connector/customers/top11", "/nothing"):
        status, refused = problem(server, path)
        assert (status, refused["error"], refused["type"]) == (404, "Not found!", "/#not-found")


def test_the_list_has_an_etag(server: Server) -> None:
    response, body = get(server, "/api/v1/reports")
    listed = json.loads(body)
    assert [one["paths"] for one in listed["reports"]] == [list(report.paths) for report in REPORTS]
    assert listed["faults"] == listed["unchecked"] == []
    again, nothing = get(server, "/api/v1/reports", {"If-None-Match": response.headers["ETag"]})
    assert (again.status, nothing) == (304, b"")


def test_a_token_of_one_report_sees_no_faults_of_others(tmp_path: Path, runs: Fixed) -> None:
    versions = VersionsFile(Versions(tmp_path / "versions.json"))
    service = ReportService(REPORTS, runs, versions, AnswerCache(tmp_path / "answers"))
    feature = ReportsFeature(service, faults=["/home/a b/x.yaml:3: name: no."], unchecked={"plain": "away"})
    file = tmp_path / "tokens.json"
    one = create_token(file, "one", ["reports:customers_top10"], NEWEST)
    every = create_token(file, "every", [Scope.REPORTS_READ], NEWEST)
    with running(ServerConfig(tokens=file), [feature]) as server:
        found = [
            json.loads(get(server, "/api/v1/reports", {"Authorization": f"Bearer {token}"})[1])
            for token in (one, every)
        ]
        statuses = [get(server, TOP, {"Authorization": f"Bearer {one}"})[0].status, get(server, TOP)[0].status]
        statuses.append(get(server, CLERK, {"Authorization": f"Bearer {one}"})[0].status)
    assert [(len(one["reports"]), one["faults"], one["unchecked"]) for one in found] == [
        (1, [], []),
        (3, ["x.yaml:3: name: no."], ["plain"]),
    ]
    assert statuses == [200, 401, 403]


def test_the_description_has_every_report_and_path(server: Server) -> None:
    described = json.loads(get(server, "/openapi.json")[1])["paths"]
    for report in REPORTS:
        names = {one["name"] for one in described[f"/api/v1/reports/{report.name}"]["get"]["parameters"]}
        assert names == {*(one.name for one in report.parameters), "format", "numbers", "shape"}
        for path in report.paths:
            assert "200" in described[path]["get"]["responses"]
    (clerk,) = [
        one
        for one in described["/connector/clerk/{clerk}/yearly_sales/{year}"]["get"]["parameters"]
        if one["name"] == "clerk"
    ]
    assert (clerk["in"], clerk["required"]) == ("path", True)
