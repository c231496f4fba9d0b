"""The doctor's lines for each source of a project: secrets, host, one request."""

import json
import time
from pathlib import Path

import pytest

from flows_platform.cli.commands import doctor
from flows_platform.components.loader import TABLE
from flows_platform.local.ports import free_port
from tests.cli.commands.test_source_try import SOURCE
from tests.fakes.certificates import Authority
from tests.fakes.proxy import LittleProxy
from tests.fakes.serving import Answer, Asked, VendorServer
from tests.fakes.small_server import SmallServer, document

USUAL = ["settings", "home folder", "sources", "warehouse", "Dagster"]
OF_VISITS = ["visits secrets", "visits host", "visits request"]


class Visits(VendorServer):
    def answer(self, asked: Asked) -> Answer:
        if asked.parameters.get("key") != "s3cr3t":
            return Answer(403, {"Content-Type": "application/json"}, b'{"detail": "wrong key: s3cr3t-not"}')
        body = {"data": [{"id": "1", "at": asked.parameters["from"]}], "next": None}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sources, a home, and ports that nobody uses."""
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLOWS_SOURCES", str(folder))
    monkeypatch.setenv("VISITS_KEY", "s3cr3t")
    for name in ("API", "EMULATOR", "DAGSTER"):
        monkeypatch.setenv(f"FLOWS_{name}_PORT", str(free_port()))
    return folder


def lines(capsys: pytest.CaptureFixture[str], *, requests: bool = True) -> dict[str, str]:
    """The doctor's lines by what they are about."""
    doctor.run_doctor(requests=requests)
    *found, _ = capsys.readouterr().out.splitlines()
    return {line[6:].partition(":")[0]: line for line in found}


def failed(found: dict[str, str]) -> list[str]:
    return [name for name, line in found.items() if line.startswith("FAIL")]


def test_a_source_that_answers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Visits(clock=lambda: 0.0) as server:
        (project / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        found = lines(capsys)
        assert len(server.requests) == 1
    assert list(found) == USUAL + OF_VISITS
    assert failed(found) == []
    assert "was answered with 200, a record was read" in found["visits request"]


SEARCH = """
type: flows_platform.components.WindowedApiTable
attributes:
  name: searched
  api:
    url: {origin}/search
    method: POST
    format: json
    records: data
    auth:
      kind: oauth2
      token_url: {tokens}/token
      client_id: {{env: SEARCHED_ID}}
      client_secret: {{env: SEARCHED_SECRET}}
    body: {{from: "{{start}}", to: "{{end}}"}}
    time: {{before_inclusive: false}}
    paging: {{kind: cursor, cursor: next, into: {{body: cursor}}}}
  columns: [{{name: id, required: true}}, {{name: at, type: timestamp, required: true}}]
  time: at
  key: id
  partitions: {{cron: 0 0 * * *, start: 2024-03-01T00:00:00}}
"""


def search(asked: Asked) -> Answer:
    """One page of a search with another behind it, for requests with the token."""
    if asked.path == "/token":
        known = b"client_secret=s3cr3t" in asked.body
        return document(
            {"access_token": "canary-token"} if known else {"error": "invalid_client"}, 200 if known else 401
        )
    if asked.headers.get("authorization") != "Bearer canary-token":
        return document({"error": "no token"}, 401)
    return document({"data": [{"id": "1", "at": json.loads(asked.body)["from"]}], "next": "more"})


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHED_ID", "me")
    monkeypatch.setenv("SEARCHED_SECRET", "s3cr3t")


@pytest.mark.usefixtures("credentials")
def test_a_search_by_post_with_a_token_and_a_cursor(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SmallServer(search) as server, SmallServer(search) as tokens:
        (project / "search.yaml").write_text(SEARCH.format(origin=server.origin, tokens=tokens.origin))
        without = lines(capsys, requests=False)
        assert not server.requests
        assert not tokens.requests
        found = lines(capsys)
        assert [asked.method for asked in (*tokens.requests, *server.requests)] == ["POST", "POST"]
    hosts = " and ".join(one.origin.removeprefix("http://") for one in (server, tokens))
    assert without["searched host"] == found["searched host"] == f"ok    searched host: {hosts} can be reached"
    assert failed(found) == failed(without) == []
    assert "was answered with 200, a record was read" in found["searched request"]


@pytest.mark.usefixtures("credentials")
def test_a_token_that_is_refused_is_the_requests_fault(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEARCHED_SECRET", "wr0ng-s3cr3t")
    with SmallServer(search) as server:
        (project / "search.yaml").write_text(SEARCH.format(origin=server.origin, tokens=server.origin))
        found = lines(capsys)
    assert failed(found) == ["searched request"]
    assert "invalid_client" in found["searched request"]
    assert "wr0ng" not in "".join(found.values())


@pytest.mark.usefixtures("credentials")
def test_a_server_of_tokens_that_is_away_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with SmallServer(search) as server:
        (project / "search.yaml").write_text(SEARCH.format(origin=server.origin, tokens=f"http://127.0.0.1:{port}"))
        found = lines(capsys, requests=False)
    assert failed(found) == ["searched host"]
    assert f"127.0.0.1:{port} cannot be reached" in found["searched host"]
    assert "Check `api.auth.token_url`" in found["searched host"]


def test_an_export_is_not_started(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chunk = "{job}/{part}"
    with Visits(clock=lambda: 0.0) as server:
        api: dict[str, object] = {"format": "json", "records": "", "time": {"stop": "never"}}
        start = {"url": f"{server.origin}/export?since={{start}}", "id": "id"}
        status = {"url": f"{server.origin}/{{job}}", "state": "state", "done": "DONE"}
        api["job"] = {"start": start, "status": status, "parts": {"list": "chunks", "url": f"{server.origin}/{chunk}"}}
        columns = [{"name": name, "required": True} for name in ("id", "at")]
        columns[1]["type"] = "timestamp"
        keys = {"name": "visits", "api": api, "columns": columns, "time": "at", "key": "id"}
        keys["partitions"] = {"start": "2024-03-01T00:00:00"}
        (project / "visits.yaml").write_text(json.dumps({"type": TABLE.component, "attributes": keys}))
        found = lines(capsys)
        assert server.requests == []
    assert failed(found) == []
    assert "none: an export may take hours; `flows source try` runs one" in found["visits request"]


def test_without_requests_nothing_is_sent(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Visits(clock=lambda: 0.0) as server:
        (project / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        assert list(lines(capsys, requests=False)) == USUAL + OF_VISITS[:2]
        assert server.requests == []


def test_a_secret_that_is_not_set_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VISITS_KEY")
    with Visits(clock=lambda: 0.0) as server:
        (project / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        found = lines(capsys, requests=False)
    assert failed(found) == ["visits secrets"]
    assert "VISITS_KEY is not set" in found["visits secrets"]


def test_files_of_tls_are_examined(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_tls = SOURCE.replace("  api:\n", "  api:\n    tls: {{ca: ca.pem}}\n")
    with Visits(time.time, Authority.named("ca", project).issue("server").server()) as server:
        (project / "visits.yaml").write_text(with_tls.format(origin=server.origin))
        found = lines(capsys)
        (project / "ca.pem").unlink()
        without = lines(capsys)
    assert failed(found) == []
    assert "the files of `tls` can be used" in found["visits secrets"]
    assert failed(without) == ["visits secrets", "visits request"]
    assert f"api.tls.ca: {project}/ca.pem cannot be read (No such file" in without["visits secrets"]


def test_a_request_that_is_refused_shows_no_secret(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISITS_KEY", "s3cr3t-not")
    with Visits(clock=lambda: 0.0) as server:
        (project / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        found = lines(capsys)
    assert failed(found) == ["visits request"]
    assert "answered 403: wrong key: ***" in found["visits request"]


def test_a_host_that_is_away_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    (project / "visits.yaml").write_text(SOURCE.format(origin=f"http://127.0.0.1:{port}"))
    found = lines(capsys)
    assert failed(found) == ["visits host", "visits request"]
    assert f"127.0.0.1:{port} cannot be reached" in found["visits host"]


def test_one_bad_file_fails_one_line_and_the_others_are_examined(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "wrong.yaml").write_text("a: [")
    with Visits(clock=lambda: 0.0) as server:
        (project / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        found = lines(capsys)
    assert failed(found) == ["sources"]
    assert list(found) == USUAL + OF_VISITS


def test_shipped_sources_are_examined_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_SOURCES", "qualys_detections,lanl_flows")
    monkeypatch.setenv("FLOWS_QUALYS_URL", f"http://127.0.0.1:{free_port()}")
    found = lines(capsys, requests=False)
    assert [name for name in found if name.startswith(("qualys", "flows"))] == [
        "qualys_detections secrets",
        "qualys_detections host",
    ]
    assert "QUALYS_USERNAME is not set" in found["qualys_detections secrets"]
    assert "API" in found


def test_a_proxy_is_what_must_be_reached(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "visits.yaml").write_text(SOURCE.format(origin="http://api.example"))
    with Visits(time.time) as server, LittleProxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url("user:canary"))
        found = lines(capsys)
    gone = lines(capsys)
    address = proxy.url().removeprefix("http://")
    assert failed(found) == []
    assert f"the proxy {address}, named by HTTP_PROXY, can be reached" in found["visits host"]
    assert failed(gone) == ["visits host", "visits request"]
    assert f"{address} cannot be reached (Connection refused). Check HTTP_PROXY" in gone["visits host"]
    assert "canary" not in f"{found}{gone}"
