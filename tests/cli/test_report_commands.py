"""`flows report list`, `show` and `get`, as processes against a server that asks for tokens."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from api_server.config import ServerConfig
from api_server.http.tokens import create_token
from api_server.reports.feature import ReportsFeature
from flows_platform.cli.commands.report_get import _parameters
from flows_platform.domain.errors import ConfigurationError
from flows_platform.reports.versions import Versions
from tests.api_server.conftest import running
from tests.api_server.customer_reports import NEWEST, Warehouse, service_of, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Terminal:
    """A folder of its own, in which `flows report` runs."""

    folder: Path
    port: int
    token: str

    def run(self, *words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "flows_platform", "report", *words, "--url", f"http://127.0.0.1:{self.port}"]
        variables = {**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}
        return subprocess.run(
            argv, capture_output=True, text=True, cwd=self.folder, env=variables, input=given, check=False
        )


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    file = tmp_path / "tokens.json"
    token = create_token(file, "long", ["reports:read"], NOW)
    folder = tmp_path / "terminal"
    folder.mkdir()
    with serving(tmp_path, Warehouse(), tokens=file) as server:
        yield Terminal(folder, server.port, token)


def test_reports_are_listed_and_shown(terminal: Terminal) -> None:
    listed = terminal.run("list", "--token", terminal.token)
    assert listed.stdout.splitlines() == [
        "of_customer  2024-03-02T00:00:00Z  The report of_customer.",
        "of_all       2024-03-02T00:00:00Z  The report of_all.",
    ]
    shown = terminal.run("show", "of_customer", "--token", terminal.token).stdout.splitlines()
    assert shown[:2] == ["of_customer: The report of_customer.", "newest data: 2024-03-02T00:00:00Z"]
    assert any(line.startswith("--top") and line.endswith("from 1 to 100") for line in shown)
    assert "total     numeric" in shown
    wrong = terminal.run("show", "of_custmer", "--token", terminal.token)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no report 'of_custmer'; did you mean of_customer?" in wrong.stderr


def test_the_list_says_what_is_left_out(tmp_path: Path) -> None:
    file, fault = tmp_path / "tokens.json", "/project/a.yaml:3: sql: ORDER BY is missing. The report wrong is left out."
    everything, single = (
        create_token(file, name, [scope], NOW) for name, scope in (("all", "reports:read"), ("one", "reports:of_all"))
    )
    feature = ReportsFeature(service_of(tmp_path, Warehouse()), faults=[fault])
    with running(ServerConfig(tokens=file), [feature]) as server:
        done = Terminal(tmp_path, server.port, everything).run("list", "--token", everything)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
        assert done.stderr == f"not served: {fault.removeprefix('/project/')}\n"
        done = Terminal(tmp_path, server.port, single).run("list", "--token", single)
        assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")


def test_rows_come_to_a_file_or_to_standard_output(terminal: Terminal) -> None:
    (terminal.folder / "my-token-secret.txt").write_text(f"{terminal.token}\n")
    done = terminal.run("get", "of_customer", "--customer", "bob", "--top=5")
    assert (done.returncode, list(csv.reader(done.stdout.splitlines()))) == (0, [["customer", "total"], ["bob", "1.5"]])
    out = terminal.folder / "rows.arrow"
    done = terminal.run("get", "of_customer", "--customer", "bob", "--kinds", "a,b", "--kinds", "c", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert f"{out}: 1 rows, {out.stat().st_size:,} bytes" in done.stdout
    assert pa.ipc.open_stream(out.read_bytes()).read_all().to_pylist()[0]["customer"] == "bob"
    done = terminal.run("get", "of_all", "--format", "json", "--out", "rows.txt")
    assert json.loads((terminal.folder / "rows.txt").read_text())["count"] == 1


@pytest.mark.slow
def test_an_unchanged_answer_is_not_sent_again(terminal: Terminal, tmp_path: Path) -> None:
    out, etag = terminal.folder / "rows.csv", terminal.folder / "rows.etag"

    def got(*words: str) -> str:
        files = ("--out", str(out), "--etag-file", str(etag), "--token", terminal.token)
        done = terminal.run("get", "of_all", *files, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.removeprefix(f"{out}: ").strip()

    first = got()
    assert first.startswith("1 rows, ")
    written = out.stat()
    assert got() == "unchanged"
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (written.st_mtime_ns, written.st_ino)
    assert got("--top", "2") == first  # another answer
    assert got("--top", "2") == "unchanged"
    out.write_text("changed by hand")
    assert got("--top", "2") == first
    out.unlink()
    assert got("--top", "2") == first
    etag.write_bytes(b"\xff")
    assert got("--top", "2") == first
    assert got("--top", "2") == "unchanged"
    Versions(tmp_path / "versions.json").committed("orders", NEWEST)
    assert got("--top", "2") == first
    alone = terminal.run("get", "of_all", "--etag-file", str(etag), "--token", terminal.token)
    assert (alone.returncode, "--etag-file needs --out" in alone.stderr) == (2, True)


def test_a_failure_leaves_the_file_as_it_was(terminal: Terminal) -> None:
    out = terminal.folder / "rows.csv"
    out.write_text("old")
    done = terminal.run("get", "of_all", "--top", "0", "--out", str(out), "--token", terminal.token)
    assert (done.returncode, out.read_text()) == (2, "old")
    assert "answered 400: top is '0'. Allowed: a whole number" in done.stderr
    assert list(terminal.folder.iterdir()) == [out]


@pytest.mark.slow
def test_a_token_comes_from_an_option_a_file_a_pipe_or_the_environment(terminal: Terminal) -> None:
    assert terminal.run("list").returncode == 2
    named = terminal.folder / "token.txt"
    named.write_text(f"{terminal.token}\r\n")
    assert terminal.run("list", "--token-file", "token.txt").returncode == 0
    assert terminal.run("list", "--token-file", "-", given=f"{terminal.token}\nrest\n").returncode == 0
    assert terminal.run("list", FLOWS_API_TOKEN=terminal.token).returncode == 0
    for name in ("a", "b"):
        (terminal.folder / f"{name}-token-secret.txt").write_text(terminal.token)
    both = terminal.run("list")
    assert (both.returncode, "a-token-secret.txt, b-token-secret.txt may all hold" in both.stderr) == (2, True)
    for words, said in [
        (("--token-file", "none.txt"), "none.txt cannot be read"),
        (("--token-file", "token.txt", "--token", "x"), "give two tokens"),
        (("--token", "flows_none"), "The token is not known here"),
    ]:
        done = terminal.run("list", *words)
        assert done.returncode in {1, 2}
        assert said in done.stderr
        assert terminal.token not in done.stderr
    named.write_text(f"{terminal.token} and more")
    done = terminal.run("list", "--token-file", "token.txt")
    assert (done.returncode, terminal.token in done.stderr) == (2, False)
    assert "does not hold a token alone" in done.stderr


def test_parameters_are_options() -> None:
    words = ["--start-range", "1995-01-01", "--top=5", "--least", "-1", "--kind", "a", "--kind=b=c"]
    assert _parameters("x", words) == {"start_range": "1995-01-01", "top": "5", "least": "-1", "kind": ("a", "b=c")}
    for name, given, said in [
        ("--top", [], "Write the name first"),
        ("x", ["top"], "'top' is not an option"),
        ("x", ["--"], "'--' is not an option"),
        ("x", ["--top"], "--top has no value"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            _parameters(name, given)


def test_formats_are_known(terminal: Terminal) -> None:
    done = terminal.run("get", "of_all", "--format", "cvs", "--token", terminal.token)
    assert (done.returncode, "did you mean csv?" in done.stderr) == (2, True)
