"""The client of reports: tables over HTTP, what is kept, waits, tokens, and errors in the server's words."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from api_server.http.token_keys import keys_beside, rotate_keys
from api_server.http.tokens import create_token, revoke_token
from flows_platform.client import Reports
from flows_platform.client import reports as module
from flows_platform.domain.errors import (
    ConfigurationError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
    WarehouseUnavailable,
)
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.runner import TooManyRows
from flows_platform.reports.versions import Versions
from tests.api_server.conftest import Server
from tests.api_server.customer_reports import NEWEST, Warehouse, serving
from tests.client.conftest import NOW


@pytest.fixture
def reports(server: Server, token: str) -> Iterator[Reports]:
    with Reports(f"http://127.0.0.1:{server.port}/", token) as reports:
        yield reports


def test_a_report_is_an_arrow_table(reports: Reports) -> None:
    assert [one["name"] for one in reports.list()] == ["of_customer", "of_all"]
    assert reports.list()[0]["chart"] == {"kind": "bar", "x": "customer", "y": "total"}
    assert set(reports.schema("of_all")["$defs"]["Parameters"]["properties"]) == {"top"}
    table = reports.get("of_customer", customer="bob", top=3)
    assert table.to_pylist() == [{"customer": "bob", "total": Decimal("1.500000000")}]
    assert table.schema.field("total").type == pa.decimal128(38, 9)


def test_values_arrive_as_they_were_given(reports: Reports, warehouse: Warehouse) -> None:
    reports.get("of_customer", customer="ä&=+ %", kinds=["x", "y z"], least=Decimal("1.10"), top=2)
    assert dict(warehouse.asked[-1]) == {
        "customer": "ä&=+ %",
        "kinds": ("x", "y z"),
        "least": Decimal("1.10"),
        "top": 2,
    }
    reports.get("of_customer", kinds=("a,b", "c"), least=Decimal(2))
    assert warehouse.asked[-1]["kinds"] == ("a,b", "c")
    reports.get("of_customer", kinds=[f"{number:0250}" for number in range(40)])
    assert len(str(warehouse.asked[-1]["kinds"])) > 10_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        (Decimal("1E+3"), "1000"),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, 12), "2024-01-31T12:00:00Z"),  # noqa: DTZ001  what is tested
        (datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2024-01-31T10:00:00Z"),
        ("2024-01-31", "2024-01-31"),
    ],
)
def test_texts_of_values(value: object, text: str) -> None:
    assert module._text(value) == text


def test_an_unchanged_table_is_not_sent_again(
    tmp_path: Path, server: Server, reports: Reports, warehouse: Warehouse
) -> None:
    first = reports.get("of_all")
    warehouse.error = WarehouseUnavailable("away")
    assert reports.get("of_all") is first
    assert reports.get("of_all", top=10) is not first  # other words, kept by the server
    warehouse.error = None
    Versions(tmp_path / "versions.json").committed("orders", NEWEST)
    assert reports.get("of_all") is not first
    assert len(warehouse.asked) == 2


def test_tables_that_are_kept_have_a_bound(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reports.get("of_all", top=1)
    monkeypatch.setattr(module, "KEPT_BYTES", 2 * first.nbytes)
    assert reports.get("of_all", top=1) is first
    reports.get("of_all", top=2)
    assert reports.get("of_all", top=1) is first
    reports.get("of_all", top=3)
    assert reports.get("of_all", top=1) is first
    assert len(reports._kept) == 2


def test_the_token_is_exchanged_once_and_again_when_it_ends(
    reports: Reports, file: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchanges: list[str] = []
    exchanged = reports._sender._exchanged

    def count() -> str:
        exchanges.append(exchanged())
        return exchanges[-1]

    monkeypatch.setattr(reports._sender, "_exchanged", count)
    for top in range(1, 4):
        reports.get("of_all", top=top)
    assert len(exchanges) == 1
    rotate_keys(keys_beside(file))
    rotate_keys(keys_beside(file))
    reports.list()
    assert len(exchanges) == 2
    revoke_token(file, "long")
    with pytest.raises(ConfigurationError, match=r"/oauth/token answered 400: subject_token: The token is not known"):
        reports.list()


def test_a_server_that_asks_for_no_token_gets_none(tmp_path: Path) -> None:
    with serving(tmp_path, Warehouse()) as server:
        for token in (None, "flows_x"):
            with Reports(f"http://127.0.0.1:{server.port}", token) as reports:
                assert reports.get("of_all").num_rows == 1


def test_errors_have_the_servers_words(server: Server, file: Path, reports: Reports, warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match=r"of_al\.arrow answered 404: .*Did you mean of_all\?"):
        reports.get("of_al")
    with pytest.raises(ConfigurationError, match=r"answered 400: top is '0'\. Allowed: a whole number") as caught:
        reports.get("of_all", top=0)
    assert f"http://127.0.0.1:{server.port}/api/v1/reports/of_all.arrow" in str(caught.value)
    with pytest.raises(ConfigurationError, match="there is no parameter 'tpo'"):
        reports.get("of_all", tpo=0)
    warehouse.error = TooManyRows("the answer has 3 rows, 2 allowed.")
    with pytest.raises(SourceRefused, match="answered 422: the answer has 3 rows"):
        reports.get("of_all")
    for name, said in (("flows_none", "Give a token that"), (None, "The Authorization header is missing")):
        with (
            Reports(f"http://127.0.0.1:{server.port}", name) as other,
            pytest.raises(ConfigurationError, match=said) as caught,
        ):
            other.list()
        assert "flows_none" not in str(caught.value)
    one = create_token(file, "one", ["reports:of_all"], NOW)
    with (
        Reports(f"http://127.0.0.1:{server.port}", one) as other,
        pytest.raises(ConfigurationError, match="lacks the scope reports:of_customer"),
    ):
        other.get("of_customer")


def test_a_busy_server_is_asked_again_after_its_wait(server: Server, token: str, warehouse: Warehouse) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) <= 2
        if len(waits) == 2:
            warehouse.error = None

    warehouse.error = WarehouseUnavailable("away")
    with Reports(f"http://127.0.0.1:{server.port}", token, sleep=sleep) as reports:
        assert reports.get("of_all").num_rows == 1
    assert waits == [10, 10]
    warehouse.error = WarehouseUnavailable("away")
    with (
        Reports(f"http://127.0.0.1:{server.port}", token, patience=9, sleep=sleep) as reports,
        pytest.raises(SourceUnavailable, match=r"answered 503: .*Try again later"),
    ):
        reports.get("of_all", top=2)
    assert waits == [10, 10]


def test_every_format_comes_to_a_file_with_progress(server: Server, token: str) -> None:
    seen: list[tuple[int, int | None]] = []
    with Reports(
        f"http://127.0.0.1:{server.port}", token, progress=lambda done, total: seen.append((done, total))
    ) as reports:
        for wire_format in WireFormat:
            target = io.BytesIO()
            assert reports.download("of_all", wire_format, target, {"top": 1}).rows == 1
            assert b"all" in target.getvalue()
            assert seen[-1] == (len(target.getvalue()), len(target.getvalue()))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("flows.example.com", "is not the URL of a server"),
        ("ftp://flows.example.com", "is not the URL of a server"),
        ("https://", "is not the URL of a server"),
        ("https://user:secret@flows.example.com", "the URL is not the URL of a server"),
        ("http://flows.example.com", "would send the token unencrypted"),
        ("http://127.0.0.1.example.com", "would send the token unencrypted"),
    ],
)
def test_urls_that_are_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Reports(url, "flows_x")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_away_is_named() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    refused = rf":{port}/api/v1/reports does not answer \(Connection refused\)"
    with Reports(f"http://127.0.0.1:{port}") as reports, pytest.raises(SourceUnavailable, match=refused):
        reports.list()


@dataclass
class Scripted:
    """A server that answers every request in one way."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    exchange: int | None = None  # the status of an answer to POST, if it is another
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def scripted(script: Scripted) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self, status: int | None = None) -> None:
            script.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status or script.status)
            for name, text in script.headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(script.body)

        def do_POST(self) -> None:
            self.do_GET(script.exchange)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ExitStack() as stack:
        thread = Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}"


def stream(rows: int) -> bytes:
    table = pa.table({"a": pa.array(range(rows), pa.int64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def _short(body: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(body) + 10), "Record-Count": "1000"}


@pytest.mark.parametrize(
    ("headers", "body", "error", "said"),
    [
        (_short, stream(1000), StreamIncomplete, "broke off its answer"),
        (lambda body: {"Content-Length": str(len(body))}, stream(1000)[:-300], StreamIncomplete, "no whole Arrow"),
        (
            lambda body: {"Content-Length": str(len(body)), "Record-Count": "1001"},
            stream(1000),
            StreamIncomplete,
            "declared 1,001 rows and sent 1,000",
        ),
        (lambda _: {}, stream(1000), StreamIncomplete, "does not say how long"),
        (lambda body: {"Content-Length": str(len(body))}, b"<html>", StreamIncomplete, "no whole Arrow"),
    ],
)
def test_a_table_is_whole_or_an_error(
    headers: Callable[[bytes], dict[str, str]], body: bytes, error: type[Exception], said: str
) -> None:
    with scripted(Scripted(headers=headers(body), body=body)) as url, Reports(url) as reports:
        with pytest.raises(error, match=said):
            reports.get("x")
        assert not reports._kept


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    there = Scripted(body=b"{}", headers={"Content-Length": "2"})
    with scripted(there) as other:
        here = Scripted(302, {"Location": other, "Content-Length": "0"})
        refused = pytest.raises(SourceRefused, match="answered 302")
        with scripted(here) as url, Reports(url, "flows_x") as reports, refused:
            reports.list()
    assert there.asked == []


def test_no_file_and_no_proxy_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    script = Scripted(headers={"Content-Length": "15"}, body=b'{"reports": []}')
    with scripted(script) as url, Reports(url) as reports:
        assert reports.list() == []
    assert script.asked == [("/api/v1/reports", None)]


def test_other_errors_are_readable() -> None:
    for script, said in [
        (Scripted(200, {"Content-Length": "2"}, b"[]"), "did not answer with a JSON object"),
        (Scripted(500, {"Content-Length": "4"}, b"oops"), r"answered 500\.$"),
        (Scripted(500, {"Content-Length": "4", "Content-Type": "application/json"}, b"oops"), r"answered 500\.$"),
    ]:
        with scripted(script) as url, Reports(url) as reports, pytest.raises(SourceRefused, match=said):
            reports.list()
    problem = json.dumps({"type": "/#no-data", "detail": "None yet."}).encode()
    headers = {"Content-Length": str(len(problem)), "Content-Type": "application/problem+json", "Retry-After": "10"}
    waits = pytest.raises(SourceUnavailable, match=r"answered 503: None yet\.")
    with scripted(Scripted(503, headers, problem)) as url, Reports(url) as reports, waits:
        reports.get("x")


def test_a_query_that_is_too_slow_is_not_repeated() -> None:
    problem = json.dumps({"type": "/#too-slow", "detail": "It took longer than 30 s."}).encode()
    headers = {"Content-Length": str(len(problem)), "Content-Type": "application/problem+json", "Retry-After": "1"}
    slow = Scripted(504, headers, problem)
    refused = pytest.raises(SourceRefused, match=r"answered 504: It took longer than 30 s\.")
    with scripted(slow) as url, Reports(url) as reports, refused:
        reports.get("x")
    assert len(slow.asked) == 1


def test_an_exchange_of_a_busy_server_is_repeated() -> None:
    waits: list[float] = []
    busy = Scripted(401, {"Content-Length": "0", "Retry-After": "1"}, exchange=503)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        busy.exchange = 500

    with scripted(busy) as url, Reports(url, "flows_x", sleep=sleep) as reports, pytest.raises(SourceRefused):
        reports.list()
    assert waits == [1]


def test_to_import_it_loads_little() -> None:
    code = "import sys, flows_platform.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"requests", "urllib3", "pyarrow", "pydantic", "dagster", "starlette", "numpy"}
    assert not heavy & set(done.stdout.split())
