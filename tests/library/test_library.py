"""Every file of the library reads its stand-in exactly, and fails where the API does."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from flows_platform.cli.commands.source_add import library, run_add, webhooks
from flows_platform.cli.commands.source_check import run_check
from flows_platform.cli.commands.source_try import run_try
from flows_platform.components.catalog import table_at
from flows_platform.components.source_files import LIBRARY
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window
from flows_platform.settings import Settings
from tests.fakes.serving import Answer, Fault
from tests.library.others import OTHERS
from tests.library.serving import DAY, SECRET, LibraryServer, Row, answered
from tests.library.stand_ins import STAND_INS

SOURCE = Path("source.yaml")
ROWS = Path("rows.parquet")
# A wait that has passed, so that no test sleeps for it.
BUSY = Answer(429, {"Retry-After": "Fri, 01 Mar 2024 00:00:00 GMT", "Content-Type": "text/plain"}, b"slow down")
TESTED = Path(__file__).with_name("tested.yaml")
ALL = STAND_INS | OTHERS
WITH_SECRETS = [name for name, stand_in in ALL.items() if stand_in.variables]


# Which request is answered in another way, and what the window's error then says.
REFUSED = {
    "arxiv_records": (
        1,
        Answer(
            200,
            {"Content-Type": "text/xml"},
            b"<OAI-PMH><error code='badArgument'>until is too early</error></OAI-PMH>",
        ),
        "badArgument: until is too early",
    ),
    "azure_log_analytics": (
        2,
        answered({"tables": [], "error": {"code": "PartialError", "message": "The results exceed 500000 rows."}}),
        "PartialError: The results exceed 500000 rows",
    ),
    "crowdstrike_alerts": (
        4,
        answered({"errors": [{"code": 404, "message": "no such alert"}], "resources": []}),
        "404: no such alert",
    ),
    "epss_scores": (2, answered({"total": 40, "data": []}), "40"),
    "gharchive_events": (1, Answer(404, {}, b"NoSuchKey"), "answered 404"),
    "prometheus_range": (
        1,
        answered({"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}, status=400),
        "bad_data: exceeded maximum resolution",
    ),
    "splunk_search": (
        1,
        answered({"messages": [{"type": "FATAL", "text": "Search auto-canceled"}]}),
        "FATAL: Search auto-canceled",
    ),
    "tenable_vulnerabilities": (2, answered({"status": "CANCELLED", "chunks_available": [1]}), "ended as CANCELLED"),
    "usgs_earthquakes": (1, Answer(400, {}, b"the limit is 20000"), "answered 400"),
    "zendesk_tickets": (1, answered({"error": "StartTimeTooRecent"}, status=422), "StartTimeTooRecent"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    for variable in {variable for stand_in in ALL.values() for variable in stand_in.variables}:
        monkeypatch.setenv(variable, SECRET)


def declared() -> dict[str, str]:
    """The declarations of the APIs without a file in the library, by their tables' names."""
    documents = TESTED.read_text().split("\n---\n")
    return {str(yaml.safe_load(text)["attributes"]["name"]): text for text in documents}


@contextmanager
def serving(name: str) -> Iterator[LibraryServer]:
    """The stand-in of a file, and the file as `source.yaml` with its address. No budget of requests, no long waits."""
    text = library()[name].read_text() if name in STAND_INS else declared()[name]
    with LibraryServer(ALL[name]) as server:
        for origin in ALL[name].origins:
            assert origin in text
            text = text.replace(origin, server.origin)
        text = re.sub(r"^    rate: .*\n", "", text, flags=re.MULTILINE)
        SOURCE.write_text(re.sub(r"every: \d+", "every: 0.01", text))
        yield server


def windows() -> list[Window]:
    """The window that begins with the day, and both its neighbours."""
    grid = table_at(SOURCE, Settings()).grid
    middle = grid.floor(DAY)
    return [grid.floor(middle.start - (middle.end - middle.start)), middle, grid.floor(middle.end)]


def tried(capsys: pytest.CaptureFixture[str], window: Window) -> dict[str, Any]:
    """What a try of the window says."""
    code = run_try(str(SOURCE), window.key, limit=None, out=ROWS, as_json=True)
    said = capsys.readouterr().out
    assert SECRET not in said
    answer: dict[str, Any] = json.loads(said)
    assert (code == 0) == ("error" not in answer), said
    return answer


def rows() -> list[Row]:
    schema = table_at(SOURCE, Settings()).table.schema
    table = pq.read_table(ROWS)
    keys = list(zip(*(table.column(name).to_pylist() for name in schema.keys), strict=True))
    found = [key[0] if len(key) == 1 else key for key in keys]
    return sorted(zip(found, table.column(schema.time).to_pylist(), strict=True))


def test_every_file_has_a_stand_in_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(library()) == sorted(STAND_INS)
    assert sorted(declared()) == sorted(OTHERS)
    assert run_check([str(LIBRARY)]), capsys.readouterr().out


@pytest.mark.parametrize("name", ALL)
def test_windows_are_read_exactly(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(name):
        for window in windows():
            said = tried(capsys, window)
            expected = sorted(ALL[name].rows(window))
            assert rows() == expected
            assert (said["rejected"], said["rows"]) == (0, len(expected))
            assert expected


@pytest.mark.parametrize("name", STAND_INS)
def test_what_passes_is_tried_again(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(name) as server:
        server.faults = {1: Fault(BUSY), 2: Fault(cut_after=20)}
        window = windows()[1]
        said = tried(capsys, window)
        assert "error" not in said, said["error"]
        assert rows() == sorted(ALL[name].rows(window))


@pytest.mark.parametrize("name", STAND_INS)
def test_an_answer_that_is_always_cut_gives_no_window(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_RETRY_ATTEMPTS", "1")
    with serving(name) as server:
        server.cuts = True
        said = tried(capsys, windows()[1])
    assert "broke off" in said["error"]["message"]
    assert not ROWS.exists()


@pytest.mark.parametrize("name", WITH_SECRETS)
def test_a_secret_that_is_not_set_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variable = ALL[name].variables[-1]
    monkeypatch.delenv(variable)
    with serving(name) as server:
        said = tried(capsys, windows()[1])
    assert variable in f"{said['error']['message']} {said['error']['remedy']}"
    assert not server.requests


@pytest.mark.parametrize("name", WITH_SECRETS)
def test_a_wrong_secret_is_refused_in_the_vendors_words(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ALL[name].variables[-1], "w0rdless")
    with serving(name):
        said = tried(capsys, windows()[1])
    assert ALL[name].reason in said["error"]["message"]
    assert "w0rdless" not in json.dumps(said)


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_api_refuses_gives_no_window(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number, answer, reason = REFUSED[name]
    monkeypatch.setenv("FLOWS_RETRY_ATTEMPTS", "1")
    with serving(name) as server:
        server.faults[number] = Fault(answer)
        said = tried(capsys, windows()[1])
    assert reason in said["error"]["message"]
    assert not ROWS.exists()


def test_a_file_is_copied_into_the_project(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    monkeypatch.setenv("FLOWS_SOURCES", "mine")
    run_add("okta_system_log", None)
    assert Path("mine/okta_system_log.yaml").read_text() == library()["okta_system_log"].read_text()
    said = capsys.readouterr().out
    assert said.startswith("mine/okta_system_log.yaml\n")
    assert "write your organisation." in said
    assert "Set OKTA_AUTHORIZATION." in said
    with pytest.raises(ConfigurationError, match=r"mine/okta_system_log\.yaml exists"):
        run_add("okta_system_log", None)


def test_the_library_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run_add(None, None)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*library(), *webhooks()]
    with pytest.raises(ConfigurationError, match="no 'octa' in the library"):
        run_add("octa", None)
