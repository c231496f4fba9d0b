"""`flows source try`: what it reports about a window in its JSON and exit code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows_platform.cli.commands.source_try import run_try
from tests.fakes.serving import Answer, Asked, VendorServer

KEY = "2024-03-01-00:00"
MEMBERS = [
    "window",
    "requests",
    "ended",
    "records",
    "rows",
    "rejected",
    "deduplicated",
    "verification",
    "unread",
    "columns_not_taken",
]  # as documented
SOURCE = """
type: flows_platform.components.WindowedApiTable
attributes:
  name: visits
  api:
    url: {origin}/v1/visits
    format: json
    records: data
    auth: {{kind: query, name: key, value: {{env: VISITS_KEY}}}}
    time: {{after: from, before: to, before_inclusive: false}}
    paging: {{kind: next_link, link: next}}
  columns:
    - {{name: id, required: true}}
    - {{name: at, type: timestamp, required: true}}
    - {{name: left_over, type: json}}
  time: at
  key: id
  extra: left_over
  partitions: {{cron: 0 */3 * * *, start: 2024-03-01T00:00:00}}
"""


class Visits(VendorServer):
    """Two pages of two records. The last record has no time, and all have a field that no column reads."""

    def answer(self, asked: Asked) -> Answer:
        first = "page" not in asked.parameters
        records: list[dict[str, Any]] = [
            {"id": f"{1 if first else 2}{letter}", "at": "2024-03-01T01:00:00Z", "agent": {"name": "x"}}
            for letter in "ab"
        ]
        if not first:
            del records[-1]["at"]
        link = f"{self.origin}/v1/visits?page=2&key={asked.parameters['key']}" if first else None
        return Answer(200, {"Content-Type": "application/json"}, json.dumps({"data": records, "next": link}).encode())


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[VendorServer], str]:
    """Write the YAML of a server's source; returns its path."""
    monkeypatch.setenv("VISITS_KEY", "s3cr3t+/9")
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLOWS_MAX_REJECTED_SHARE", "0.5")

    def write(server: VendorServer) -> str:
        path = tmp_path / "visits.yaml"
        path.write_text(SOURCE.format(origin=server.origin))
        return str(path)

    return write


def tried(
    capsys: pytest.CaptureFixture[str], source: str, key: str = KEY, **options: Any
) -> tuple[int, dict[str, Any]]:
    code = run_try(source, key, **{"limit": None, "out": None, "as_json": True} | options)
    told = capsys.readouterr().out
    assert "s3cr3t" not in told
    return code, json.loads(told)


def test_a_whole_window(
    source: Callable[[VendorServer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.parquet"
    with Visits(clock=lambda: 0.0) as server:
        code, told = tried(capsys, source(server), out=out)
    assert code == 0
    assert set(MEMBERS) <= told.keys()
    assert "error" not in told
    assert (told["window"], told["records"], told["rows"], told["rejected"]) == (KEY, 4, 3, 1)
    assert [(request["status"], request["records"]) for request in told["requests"]] == [(200, 2), (200, 2)]
    assert told["requests"][0]["url"].endswith("?from=2024-03-01T00%3A00%3A00Z&to=2024-03-01T03%3A00%3A00Z&key=***")
    assert told["columns_not_taken"] == ["agent"]
    assert told["rejects"] == [{"reason": "at is null or missing", "records": 1}]
    assert told["verification"] == "L1 framing"
    assert pq.read_table(out).column("id").to_pylist() == ["1a", "1b", "2a"]
    assert not (tmp_path / "home" / "windows").exists()  # no module of it is the platform's


def test_an_older_window_of_a_snapshot_says_whose_list_it_is(
    source: Callable[[VendorServer], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Visits(clock=lambda: 0.0) as server:
        path = Path(source(server))
        text = path.read_text().replace("time: {after: from, before: to, before_inclusive: false}", "snapshot: true")
        given = "- {name: window_at, type: timestamp, from: window_start, required: true}\n    - {name: left"
        path.write_text(text.replace("time: at", "time: window_at").replace("- {name: left", given))
        code, told = tried(capsys, str(path))
    assert (code, told["rows"]) == (0, 3)
    assert told["note"] == "this is the list of now, which a run stores under the newest closed window alone"
    assert [request["status"] for request in told["requests"]] == [200, 200]


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit(
    source: Callable[[VendorServer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    with Visits(clock=lambda: 0.0) as server:
        code, told = tried(capsys, source(server), limit=limit, out=tmp_path / "rows.parquet")
    assert (code, told["records"], told["rows"]) == (0, limit, limit)
    assert told["ended"] == f"stopped after {limit} records"
    assert told["verification"] == "L0 unverified"
    assert len(server.requests) == (1 if limit == 1 else 2)


def test_an_error_is_the_answer(source: Callable[[VendorServer], str], capsys: pytest.CaptureFixture[str]) -> None:
    class Refusing(Visits):
        def answer(self, asked: Asked) -> Answer:  # noqa: ARG002 - every request is refused
            return Answer(403, {"Content-Type": "application/json"}, b'{"detail": "no such key: %b"}' % b"s3cr3t+/9")

    with Refusing(clock=lambda: 0.0) as server:
        code, told = tried(capsys, source(server))
    assert code == 1
    assert told["error"]["type"] == "SourceRefused"
    assert "answered 403: no such key: ***" in told["error"]["message"]
    assert [request["status"] for request in told["requests"]] == [403]


def test_a_window_that_is_none(source: Callable[[VendorServer], str], capsys: pytest.CaptureFixture[str]) -> None:
    with Visits(clock=lambda: 0.0) as server:
        code, told = tried(capsys, source(server), "2024-03-01-01:00")
    assert code == 2
    assert "'2024-03-01-01:00' does not name a window" in told["error"]["message"]
    assert server.requests == []


def test_a_file_that_says_what_it_may_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(SOURCE.format(origin="http://127.0.0.1:1").replace("records: data", "recods: data"))
    code, told = tried(capsys, str(path))
    assert code == 2
    assert "did you mean records" in told["error"]["message"]
    code, told = tried(capsys, "no_such_table")
    assert code == 2
    assert "nvd_cves" in told["error"]["remedy"]
    code, told = tried(capsys, "nvd_cve")
    assert (code, told["error"]["message"]) == (2, "there is no table 'nvd_cve'; did you mean nvd_cves?")
    code, told = tried(capsys, str(tmp_path))
    assert (code, told["error"]["message"]) == (2, f"{tmp_path} is a folder.")
    code, told = tried(capsys, str(tmp_path / "absent.yaml"))
    assert (code, told["error"]["message"]) == (2, f"{tmp_path}/absent.yaml cannot be read: No such file or directory.")


def test_as_text(source: Callable[[VendorServer], str], capsys: pytest.CaptureFixture[str]) -> None:
    with Visits(clock=lambda: 0.0) as server:
        assert run_try(source(server), KEY, limit=None, out=None, as_json=False) == 0
    said = capsys.readouterr().out
    assert "Records       4: 3 rows, 1 rejected, 0 repeated" in said
    assert "Not taken     agent" in said
    assert "Rejected      1: at is null or missing" in said


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("2024-02-29-21:00", "is outside the declared ones, the first of which is 2024-03-01-00:00. Choose another"),
        ("2999-01-01-00:00", "begins in the future. Choose one up to 20"),
    ],
)
def test_a_window_that_no_run_could_fetch(
    source: Callable[[VendorServer], str], capsys: pytest.CaptureFixture[str], key: str, message: str
) -> None:
    with Visits(clock=lambda: 0.0) as server:
        code, told = tried(capsys, source(server), key)
    assert (code, server.requests) == (2, [])
    assert message in f"{told['error']['message']} {told['error']['remedy']}"


@pytest.mark.parametrize(
    "words", [["--window", KEY, "--limit", "0"], ["--window", KEY, "--limit", "x"], [], ["--window", KEY, "--bad"]]
)
def test_wrong_use_is_one_object_of_json_too(words: list[str]) -> None:
    command = [sys.executable, "-m", "flows_platform", "source", "try", "x.yaml", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"]
    assert "Traceback" not in done.stderr
