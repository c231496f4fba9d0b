"""The doctor's lines for states of a platform: green if nothing is wrong, red for one reason at a time."""

import base64
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows_platform.cli.commands import doctor
from flows_platform.domain.errors import ConfigurationError
from flows_platform.local.ports import free_port

LINES = ["settings", "home folder", "sources", "raw file", "database", "API", "warehouse", "CVE database", "Dagster"]


class Foreign(BaseHTTPRequestHandler):
    """A program of someone else: it answers every request."""

    def _answer(self) -> None:
        body = b"<html>hello</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_HEAD = _answer  # noqa: N815 - named by the standard library

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def foreign_program(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Foreign)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_at(home: Path) -> Iterator[None]:
    """The lock that a code server of this home holds."""
    (home / "dagster").mkdir(parents=True)
    descriptor = os.open(home / "dagster" / "dagster.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was started, and free ports."""
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    for name in ("API", "EMULATOR", "DAGSTER"):
        monkeypatch.setenv(f"FLOWS_{name}_PORT", str(free_port()))
    return tmp_path / "home"


def examined(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The failing lines by their checks; all lines are present, and the last one counts them."""
    count = doctor.run_doctor()
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line[6:].partition(":")[0] for line in lines] == LINES
    failed = {line[6:].partition(":")[0]: line for line in lines if line.startswith("FAIL")}
    assert len(failed) == count
    assert last == (f"{count} of 9 checks failed: {', '.join(failed)}." if failed else "All checks passed.")
    return failed


def test_it_is_green_before_the_first_start(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examined(capsys) == {}
    assert not (home / "dagster").exists()  # the checks create nothing but the home


@pytest.mark.parametrize(("name", "line"), [("API", "API"), ("EMULATOR", "warehouse"), ("DAGSTER", "Dagster")])
def test_a_foreign_program_on_a_port_is_one_failing_line(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, line: str
) -> None:
    setting = f"FLOWS_{name}_PORT"
    with foreign_program(int(os.environ[setting])):
        failed = examined(capsys)
    assert list(failed) == [line]
    assert setting in failed[line]


def test_a_misspelt_setting_is_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_DAYZ", "3")
    assert "FLOWS_DAYZ is not a setting" in examined(capsys)["settings"]


def test_it_goes_on_after_a_wrong_value_and_ends_with_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_DAYS", "soon")
    monkeypatch.setenv("FLOWS_DAYZ", "3")
    with pytest.raises(ConfigurationError, match="FLOWS_DAYS is 'soon'"):
        doctor.run_doctor()
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines] == ["FAIL", *["ok  "] * 8]
    assert last == "1 of 9 checks failed: settings."
    assert "FLOWS_DAYZ is not a setting" in lines[0]


def test_a_home_that_is_no_folder_is_one_failing_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("a file")
    failed = examined(capsys)
    assert list(failed) == ["home folder"]
    assert "FLOWS_HOME" in failed["home folder"]


def test_a_home_where_nobody_may_write_is_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_HOME", "/proc")  # root may not either
    failed = examined(capsys)
    assert list(failed) == ["home folder"]
    assert "/proc cannot be written" in failed["home folder"]


def test_a_raw_file_that_is_away_is_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (home / "absent", home.parent):
        monkeypatch.setenv("FLOWS_RAW_FILE", str(path))
        assert list(examined(capsys)) == ["raw file"]


def test_a_source_that_declares_what_none_may_is_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = tmp_path / "defs" / "mine" / "defs.yaml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("type: flows_platform.components.WindowedApiTable\nattributes: {tabel: mine}\n")
    monkeypatch.setenv("FLOWS_SOURCES", str(wrong.parents[1]))
    assert doctor.run_doctor() == 1
    (failed,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert failed.startswith("FAIL  sources: ")
    assert str(wrong) in failed
    assert "tabel" in failed


def test_a_damaged_database_is_one_failing_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "database").mkdir(parents=True)
    (home / "database" / "flows.db").write_text("no database")
    assert list(examined(capsys)) == ["database"]


def test_an_api_of_others_that_is_away_is_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_API_URL", f"http://127.0.0.1:{free_port()}/stream")
    failed = examined(capsys)
    assert list(failed) == ["API"]
    assert "FLOWS_API_URL" in failed["API"]


@pytest.mark.parametrize("credentials", ["%%%", base64.b64encode(b'{"type": "service_account"}').decode()])
def test_credentials_that_are_none_are_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], credentials: str
) -> None:
    monkeypatch.setenv("FLOWS_BIGQUERY_PROJECT", "canary-project")
    monkeypatch.setenv("FLOWS_BIGQUERY_CREDENTIALS", credentials)
    failed = examined(capsys)
    assert list(failed) == ["warehouse"]
    assert "FLOWS_BIGQUERY_CREDENTIALS" in failed["warehouse"]
    assert credentials not in failed["warehouse"]


def test_credentials_named_twice_and_not_at_all_are_one_failing_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_BIGQUERY_PROJECT", "canary-project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(home / "absent.json"))
    for credentials in (base64.b64encode(b"{}").decode(), ""):
        monkeypatch.setenv("FLOWS_BIGQUERY_CREDENTIALS", credentials)
        failed = examined(capsys)
        assert list(failed) == ["warehouse"]
        assert "FLOWS_BIGQUERY_CREDENTIALS" in failed["warehouse"]


def test_an_emulator_that_hangs_is_told_apart_from_another_program(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "LONGEST", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, running_at(home):
        monkeypatch.setenv("FLOWS_EMULATOR_PORT", str(silent.getsockname()[1]))
        failed = examined(capsys)
    assert "timed out" in failed["warehouse"]
    assert f"Look into {home / 'logs'}" in failed["warehouse"]


def test_what_does_not_answer_while_the_platform_runs_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_at(home):
        failed = examined(capsys)
        assert list(failed) == ["API", "warehouse", "Dagster"]
        assert all(f"Look into {home / 'logs'}" in line for line in failed.values())
    assert examined(capsys) == {}
