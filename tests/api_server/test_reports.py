"""The endpoints of reports: answers in every format, what is kept, what is refused, and that values stay values."""

import asyncio
import csv
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa
import pytest
import zstandard
from lxml import etree

from api_server.config import ServerConfig
from api_server.http.slices import SLICE
from api_server.http.tokens import Scope, create_token
from api_server.reports.feature import ReportsFeature
from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.errors import PlatformError, StorageError, WarehouseError, WarehouseUnavailable
from flows_platform.domain.windows import Window
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import NotComputable, ReportRunner, Rows, TooManyBytes, TooManyRows, TooSlow
from flows_platform.reports.service import TRIES, WAITING, ReportService, TooBusy
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from tests.conditions import eventually

from .conftest import Server, running

PATH = "/api/v1/reports/totals"
NEWEST = datetime(2024, 3, 2, tzinfo=UTC)
REPORT = ReportDeclaration.model_validate(
    {
        "name": "totals",
        "description": "Totals <by> customer.",
        "over": ["orders"],
        "parameters": [
            {"name": "start", "type": "timestamp", "default": "{{ newest - 1d }}"},
            {"name": "end", "type": "timestamp", "default": "{{ newest }}"},
            {"name": "day", "type": "date", "default": "2024-01-01"},
            {"name": "customer", "type": "string", "default": "ann"},
            {"name": "kinds", "type": "choice", "of": ["a", "b"], "many": True, "default": ["a"]},
            {"name": "least", "type": "numeric", "default": 0},
            {"name": "share", "type": "float64", "default": 0.5},
            {"name": "all", "type": "bool", "default": False},
            {"name": "top", "type": "int64", "minimum": 1, "maximum": 100, "default": 10},
        ],
        "longest": {"parameters": ["start", "end"], "days": 366},
        "sql": "SELECT customer, total, at, good FROM orders WHERE at >= @start AND at < @end AND DATE(at) > @day AND "
        "customer = @customer AND kind IN UNNEST(@kinds) AND total > @least AND share > @share AND @all "
        "ORDER BY total, customer LIMIT @top",
        "columns": [
            {"name": "customer", "type": "string"},
            {"name": "total", "type": "numeric"},
            {"name": "at", "type": "timestamp"},
            {"name": "good", "type": "bool"},
        ],
    }
)
TABLE = pa.table(
    [
        ['ann, "the" <1>', None],
        [Decimal("12345678901234567890.500000000"), None],
        [datetime(2024, 1, 1, 0, 0, 0, 1, UTC), None],
        [True, None],
    ],
    schema=arrow_schema(REPORT.schema_of_rows),
)


class Recorded(ReportRunner):
    """Answers with a table or an error, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Value]]] = []
        self.error: PlatformError | None = None
        self.during: Callable[[], None] = lambda: None
        self.cancelled: list[str] = []
        self.table = TABLE

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], _label: str = "", /) -> Rows:
        self.asked.append((report.sql or "", values))
        self.during()
        if self.error:
            raise self.error
        return Rows(self.table, 1.5)

    def cancel(self, label: str) -> bool:
        self.cancelled.append(label)
        return True


@pytest.fixture
def runs() -> Recorded:
    return Recorded()


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", NEWEST)
    return versions


@pytest.fixture
def service(tmp_path: Path, runs: Recorded, versions: Versions) -> ReportService:
    return ReportService([REPORT], runs, VersionsFile(versions), AnswerCache(tmp_path / "answers"))


@pytest.fixture
def server(service: ReportService) -> Iterator[Server]:
    with running(ServerConfig(), [ReportsFeature(service)]) as server:
        yield server


def send(
    server: Server, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return response, response.read()


def get(server: Server, target: str, headers: Mapping[str, str] | None = None) -> tuple[HTTPResponse, bytes]:
    return send(server, "GET", target, headers)


def problem(server: Server, target: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    response, body = get(server, target, headers)
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status, json.loads(body)


def test_json_is_exact_and_says_what_it_is(server: Server) -> None:
    response, body = get(server, PATH)
    document = json.loads(body, parse_float=Decimal)
    assert response.headers["Record-Count"] == "2"
    assert response.headers["Data-As-Of"] == "2024-03-02T00:00:00Z"
    assert response.headers["Cache-Control"] == "private, max-age=60, stale-while-revalidate=60"
    assert response.headers["Link"] == f'<{PATH}/schema>; rel="describedby"'
    assert "warehouse;dur=1.5" in response.headers["Server-Timing"]
    assert list(document) == ["report", "parameters", "data_as_of", "columns", "rows", "count"]
    assert document["parameters"] | {"share": 0} == {
        "start": "2024-03-01T00:00:00Z",
        "end": "2024-03-02T00:00:00Z",
        "day": "2024-01-01",
        "customer": "ann",
        "kinds": ["a"],
        "least": 0,
        "share": 0,
        "all": False,
        "top": 10,
    }
    first, second = document["rows"]
    assert first == {
        "customer": 'ann, "the" <1>',
        "total": Decimal("12345678901234567890.5"),
        "at": "2024-01-01T00:00:00.000001Z",
        "good": True,
    }
    assert set(second.values()) == {None}
    assert document["count"] == 2


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_every_format_by_ending_parameter_and_accept(server: Server, wire_format: WireFormat) -> None:
    bodies = [
        get(server, f"{PATH}.{wire_format}"),
        get(server, f"{PATH}?format={wire_format}"),
        get(server, PATH, {"Accept": wire_format.content_type}),
    ]
    assert len({body for _, body in bodies}) == 1
    assert {response.headers["Content-Type"].partition(";")[0] for response, _ in bodies} == {wire_format.content_type}
    assert len({response.headers["ETag"] for response, _ in bodies}) == 1
    body = bodies[0][1]
    match wire_format:
        case WireFormat.ARROW:
            assert pa.ipc.open_stream(body).read_all() == TABLE
        case WireFormat.CSV:
            assert list(csv.reader(StringIO(body.decode(), newline=""))) == [
                ["customer", "total", "at", "good"],
                ['ann, "the" <1>', "12345678901234567890.5", "2024-01-01T00:00:00.000001Z", "1"],
                ["", "", "", ""],
            ]
        case WireFormat.XML:
            assert [len(record) for record in etree.parse(BytesIO(body)).iter("record")] == [4, 0]
        case WireFormat.NDJSON:
            assert [json.loads(line)["good"] for line in body.splitlines()] == [True, None]
        case WireFormat.JSON:
            assert json.loads(body)["count"] == 2


def test_an_unchanged_answer_asks_no_warehouse(server: Server, runs: Recorded, versions: Versions) -> None:
    first, body = get(server, PATH)
    etag = first.headers["ETag"]
    same, again = get(server, f"{PATH}?top=10&customer=ann")
    assert (again, same.headers["ETag"], len(runs.asked)) == (body, etag, 1)
    runs.error = WarehouseUnavailable("away")
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        response, nothing = get(server, PATH, {"If-None-Match": given})
        assert (response.status, nothing, response.headers["ETag"]) == (304, b"", etag)
    assert get(server, PATH, {"If-None-Match": '"other"'})[0].status == 200
    assert len(runs.asked) == 1
    assert get(server, f"{PATH}?top=9", {"If-None-Match": etag})[0].status == 503
    versions.committed("orders", NEWEST)
    assert get(server, PATH, {"If-None-Match": etag})[0].status == 503
    runs.error = None
    assert get(server, PATH)[0].headers["ETag"] != etag


def test_an_unchanged_answer_keeps_its_coding(server: Server) -> None:
    first, _ = get(server, PATH)
    assert first.headers["Vary"] == "Accept, Accept-Encoding, Authorization"
    etag = first.headers["ETag"]
    for known, accepted in ((etag, "gzip"), (f'{etag[:-1]}-gzip"', "gzip"), (f'{etag[:-1]}-gzip"', "zstd")):
        response, _ = get(server, PATH, {"If-None-Match": known, "Accept-Encoding": accepted})
        found = (response.status, response.headers["ETag"], response.headers["Content-Encoding"])
        assert found == (304, known, None)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_a_large_answer_comes_in_slices(server: Server, runs: Recorded, coding: str) -> None:
    runs.table = TABLE.take([0] * 60_000)
    zstd = zstandard.ZstdDecompressor()
    decoded: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "zstd": lambda body: bytes(zstd.decompressobj().decompress(body)),
        "identity": bytes,
    }
    for _ in "query", "kept":
        response, body = get(server, f"{PATH}?format=csv", {"Accept-Encoding": coding})
        whole = decoded[coding](body)
        assert len(whole) > 2 * SLICE
        assert len(whole.splitlines()) == 1 + int(response.headers["Record-Count"]) == 60_001
        assert response.headers["Content-Length"] == (str(len(whole)) if coding == "identity" else None)


def test_an_answer_while_the_table_changes_is_not_kept(server: Server, runs: Recorded, versions: Versions) -> None:
    window = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))
    with versions.changing("orders", window):
        for _ in range(2):
            response, _ = get(server, PATH)
            assert "ETag" not in response.headers
            assert response.headers["Cache-Control"] == "no-store"
    assert len(runs.asked) == 2
    runs.during = lambda: versions.committed("orders", NEWEST)
    assert "ETag" not in get(server, PATH)[0].headers
    assert len(runs.asked) == 2 + TRIES


def test_a_query_whose_table_changed_meanwhile_is_asked_again(
    server: Server, runs: Recorded, versions: Versions
) -> None:
    def change_once() -> None:
        versions.committed("orders", NEWEST)
        runs.during = lambda: None

    runs.during = change_once
    first, body = get(server, PATH)
    assert len(runs.asked) == 2
    second, again = get(server, PATH)
    assert (second.headers["ETag"], again) == (first.headers["ETag"], body)
    assert len(runs.asked) == 2


def test_answers_outlive_the_server(tmp_path: Path, runs: Recorded, versions: Versions, server: Server) -> None:
    body = get(server, PATH)[1]
    other = ReportService([REPORT], runs, VersionsFile(versions), AnswerCache(tmp_path / "answers"))
    with running(ServerConfig(), [ReportsFeature(other)]) as second:
        assert get(second, PATH)[1] == body
    assert len(runs.asked) == 1


def test_equal_requests_at_once_are_one_query(service: ReportService, runs: Recorded) -> None:
    go = threading.Event()

    def wait() -> None:
        assert go.wait(60)

    runs.during = wait

    async def ask() -> list[bytes]:
        asked = service.asked(REPORT, {}, WireFormat.CSV)
        waiting = [asyncio.create_task(service.answer(asked)) for _ in range(100)]
        given_up = asyncio.create_task(service.answer(asked))
        await asyncio.sleep(0)
        given_up.cancel()
        go.set()
        return [bytes(answer.body) for answer in await asyncio.gather(*waiting)]

    assert len(set(asyncio.run(ask()))) == 1
    assert len(runs.asked) == 1


def test_waiting_queries_have_a_bound(service: ReportService, runs: Recorded) -> None:
    go = threading.Event()

    def wait() -> None:
        assert go.wait(60)

    runs.during = wait

    async def ask() -> list[object]:
        asked = [service.asked(REPORT, {"customer": f"c{number}"}, WireFormat.CSV) for number in range(WAITING + 2)]
        waiting = [asyncio.create_task(service.answer(one)) for one in asked]
        assert await asyncio.to_thread(eventually, lambda: sum(one.done() for one in waiting) == 2)
        go.set()
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    found = asyncio.run(ask())
    assert sum(isinstance(one, TooBusy) for one in found) == 2
    assert len(runs.asked) == WAITING


def test_a_query_whose_client_goes_is_cancelled(server: Server, runs: Recorded) -> None:
    runs.during = lambda: None if eventually(lambda: bool(runs.cancelled)) else pytest.fail("it was not cancelled")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert eventually(lambda: bool(runs.asked))
        assert not runs.cancelled
    assert eventually(lambda: bool(runs.cancelled))
    runs.during = lambda: None
    assert get(server, PATH)[0].status == 200


def test_head_sends_no_query(server: Server, runs: Recorded) -> None:
    response, body = send(server, "HEAD", PATH)
    assert (response.status, body, "Record-Count" in response.headers, runs.asked) == (200, b"", False, [])
    get(server, PATH)
    assert send(server, "HEAD", PATH)[0].headers["Record-Count"] == "2"


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("tpo=1", "tpo", "there is no parameter 'tpo' here"),
        ("top=1&top=2", "top", "top is given more than once"),
        ("top=", "top", "top is ''"),
        ("top=0", "top", "top is '0'"),
        ("top=101", "top", "top is '101'"),
        ("top=%C2%B2", "top", "top is "),
        ("all=1", "all", "all is '1'"),
        ("kinds=a,c", "kinds", "kinds is 'c'"),
        ("day=2024-2-1", "day", "day is '2024-2-1'"),
        ("start=2024-01-02&end=2024-01-01", "end", "end is before start"),
        ("start=2020-01-01", "end", "the range from start to end is 1,522 days long"),
        ("format=yaml", "format", "format is 'yaml'"),
    ],
)
def test_bad_parameters_are_named(server: Server, runs: Recorded, query: str, parameter: str, detail: str) -> None:
    status, found = problem(server, f"{PATH}?{query}")
    assert (status, found["type"], found["parameter"]) == (400, "/#invalid-parameter", parameter)
    assert detail in found["detail"]
    assert found["allowed"]
    assert not runs.asked


def test_other_refusals(server: Server) -> None:
    status, found = problem(server, "/api/v1/reports/total")
    assert (status, found["allowed"]) == (404, ["totals"])
    assert problem(server, "/api/v1/reports/x/schema")[0] == 404
    assert problem(server, PATH, {"Accept": "text/html"})[0] == 406
    assert problem(server, f"{PATH}.csv?format=csv")[1]["parameter"] == "format"
    response, _ = send(server, "DELETE", PATH)
    assert (response.status, sorted(response.headers["Allow"].split(", "))) == (405, ["GET", "HEAD"])
    assert get(server, f"{PATH}/query")[0].status == 405


@pytest.mark.parametrize(
    ("error", "status", "kind", "said"),
    [
        (TooManyRows("the answer has 3 rows"), 422, "too-many-rows", "the answer has 3 rows"),
        (TooManyBytes("10 bytes would be billed, 5 allowed"), 422, "too-many-bytes", "10 bytes would be billed"),
        (
            NotComputable("the text 'secret' is not", "bad int64"),
            422,
            "not-computable",
            "these values: bad int64. Give",
        ),
        (TooSlow("it took longer than 30 s"), 504, "too-slow", "30 s"),
        (WarehouseUnavailable("secret host"), 503, "reports-unavailable", "log has the reason"),
        (StorageError("secret file"), 503, "reports-unavailable", "log has the reason"),
        (WarehouseError("secret column"), 500, "report-failed", "log has the reason"),
    ],
)
def test_failures_have_their_status(
    server: Server, runs: Recorded, *, error: PlatformError, status: int, kind: str, said: str
) -> None:
    runs.error = error
    response, body = get(server, PATH)
    found = json.loads(body)
    assert (response.status, found["type"]) == (status, f"/#{kind}")
    assert said in found["detail"]
    assert "secret" not in found["detail"]
    assert ("Retry-After" in response.headers) is (status in {503, 504})
    runs.error = None
    assert get(server, PATH)[0].status == 200  # a failure is not kept


def test_without_data_a_default_cannot_follow_it(tmp_path: Path, runs: Recorded) -> None:
    empty = ReportService([REPORT], runs, VersionsFile(Versions(tmp_path / "none.json")), AnswerCache(tmp_path / "a"))
    with running(ServerConfig(), [ReportsFeature(empty)]) as server:
        assert problem(server, PATH)[1]["type"] == "/#no-data"
        response, _ = get(server, f"{PATH}?start=2024-01-01&end=2024-01-02")
        assert (response.status, "ETag" in response.headers, "Data-As-Of" in response.headers) == (200, False, False)


def post(server: Server, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
    response, found = send(server, "POST", f"{PATH}/query", {"Content-Type": kind}, body)
    return response.status, found


def test_a_body_asks_as_a_query_string_does(server: Server, runs: Recorded) -> None:
    status, body = post(server, json.dumps({"top": 5, "kinds": ["b", "a"], "all": True, "least": 1.5}).encode())
    assert (status, body) == (200, get(server, f"{PATH}?top=5&kinds=b,a&all=true&least=1.50")[1])
    assert len(runs.asked) == 1
    exact = b'{"least": 12345678901234567890.123456789}'
    assert post(server, exact)[0] == 200
    assert runs.asked[-1][1]["least"] == Decimal("12345678901234567890.123456789")
    for given, shown in ((b"5", "5"), (b"true", "true"), (b'{"a": 1}', '{"a": 1}')):
        status, refused = post(server, b'{"kinds": %s}' % given)
        assert (status, json.loads(refused)["detail"]) == (400, f"kinds is {shown}.")
    for given in (b"[]", b"{", b'{"top":1,"top":2}', b"\xff", b"[" * 60_000):
        assert json.loads(post(server, given)[1])["type"] == "/#invalid-body"
    assert post(server, b'{"top": 1e400}')[0] == post(server, b'{"top": NaN}')[0] == post(server, b'{"x": 1}')[0] == 400
    assert post(server, b"top=1", "application/x-www-form-urlencoded")[0] == 415
    assert post(server, b'{"customer": "%s"}' % (b"x" * 70_000))[0] == 413


def test_the_list_and_the_schema(server: Server) -> None:
    (listed,) = json.loads(get(server, "/api/v1/reports")[1])["reports"]
    assert (listed["name"], listed["data_as_of"]) == ("totals", "2024-03-02T00:00:00Z")
    assert [column["name"] for column in listed["columns"]] == ["customer", "total", "at", "good"]
    schema = json.loads(get(server, f"{PATH}/schema")[1])
    parameters = schema["$defs"]["Parameters"]["properties"]
    assert (parameters["top"]["maximum"], parameters["kinds"]["items"]["enum"]) == (100, ["a", "b"])
    assert schema["$defs"]["Row"]["properties"]["total"]["type"] == ["number", "null"]
    assert "Totals &lt;by&gt; customer." in get(server, "/")[1].decode()
    assert get(server, "/openapi.json")[0].status == 200


def test_a_token_needs_the_scope(tmp_path: Path, service: ReportService) -> None:
    file = tmp_path / "tokens.json"
    good = create_token(file, "good", [Scope.REPORTS_READ], NEWEST)
    bad = create_token(file, "bad", [Scope.FLOWS_READ], NEWEST)
    with running(ServerConfig(tokens=file), [ReportsFeature(service)]) as server:
        for path in ("/api/v1/reports", PATH, f"{PATH}.csv", f"{PATH}/schema"):
            statuses = [get(server, path, {"Authorization": f"Bearer {token}"})[0].status for token in (good, bad)]
            assert [*statuses, get(server, path)[0].status] == [200, 403, 401]


QUOTES = ["'", '"', "`", "\\", "''", "\\'", "'''", '"""', "\u2019", "\u02bc", "%27", "&#39;"]
ENDS = ["; DROP TABLE orders", " OR 1=1 --", " UNION SELECT 1 #", "; SELECT 1 /*", ") OR (TRUE"]
INJECTIONS = [f"ann{quote_}{end}" for quote_ in QUOTES for end in ENDS]


def test_no_payload_reaches_the_statement(server: Server, runs: Recorded) -> None:
    assert len(INJECTIONS) == 60
    for parameter in REPORT.parameters:
        for payload in INJECTIONS:
            get(server, f"{PATH}?{urlencode({parameter.name: payload}, quote_via=quote)}")
            post(server, json.dumps({parameter.name: [payload] if parameter.many else payload}).encode())
    assert {sql for sql, _ in runs.asked} == {REPORT.sql}
    # Only the text reached the warehouse, as a value.
    assert {values["customer"] for _, values in runs.asked} == {*INJECTIONS}
    defaults = {name: value for name, value in runs.asked[0][1].items() if name != "customer"}
    assert all(values.items() >= defaults.items() for _, values in runs.asked)


@pytest.mark.slow
def test_a_slow_reader_gets_all_of_a_large_answer(tmp_path: Path, runs: Recorded, versions: Versions) -> None:
    """It takes longer than the deadline for all, and much less for a slice, on a busy machine too."""
    runs.table = TABLE.take([0] * 60_000)
    service = ReportService([REPORT], runs, VersionsFile(versions), AnswerCache(tmp_path / "slow"))
    deadline, pause, pieces = 4, 0.2, list[bytes]()
    with (
        running(ServerConfig(write_seconds=deadline), [ReportsFeature(service)], send_buffer=2048) as server,
        server.answer(f"{PATH}?format=csv") as response,
    ):
        while piece := response.read(100_000):
            pieces.append(piece)
            eventually(lambda: False, pause)
    assert len(pieces) * pause > deadline
    assert b"".join(pieces).count(b"\r\n") == 60_001
