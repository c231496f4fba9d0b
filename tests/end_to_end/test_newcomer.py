"""From an empty folder to a table: `init`, `source new`, `try`, `dev`, and a backfill as the UI launches it.

The API asks for an OAuth2 token and continues by a cursor. The platform is that of the wheel, not of the repository.
"""

import difflib
import json
import os
import re
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from urllib.request import Request, urlopen

import pytest

from flows_platform.settings import Files
from flows_platform.warehouse.warehouse import emulator_client
from tests.end_to_end.dev_process import FLOWS, READY, lines_until, own_environment, processes_of, running_dev
from tests.fakes.serving import Answer, Asked, VendorServer
from tests.ui.dagster_api import DagsterApi

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FIRST = datetime.fromisoformat("2024-03-01T00:00:00+00:00")
TIMES = [FIRST + timedelta(minutes=31) * step for step in range(150)]  # three days and some hours
SIZE = 20
ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS = {"client_id": "me", "client_secret": "s3cr3t"}
MOST_LINES = 8  # that a newcomer writes by hand
QUERY = "from=2024-03-01T00:00:00Z&to=2024-03-02T00:00:00Z&limit=20"


class Doors(VendorServer):
    """Door events by pages with a cursor, for requests with the newest token; `tokens` counts those issued."""

    tokens = 0

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/oauth2/token":
            return self._token(dict(parse_qsl(asked.body.decode())))
        if asked.headers.get("authorization") != f"Bearer token-{self.tokens}":
            return _document({"error": "no token"}, 401)
        first, last = (datetime.fromisoformat(asked.parameters[name]) for name in ("from", "to"))
        rows = [(number, time) for number, time in enumerate(TIMES) if first <= time < last]
        start = int(asked.parameters.get("cursor", 0))
        events = [
            {"id": f"d{number}", "openedAt": time.isoformat(), "door": {"name": "north", "floor": 2}}
            for number, time in rows[start : start + SIZE]
        ]
        cursor = str(start + SIZE) if start + SIZE < len(rows) else None
        return _document({"events": events, "meta": {"next_cursor": cursor}})

    def _token(self, form: dict[str, str]) -> Answer:
        if not CREDENTIALS.items() <= form.items():
            return _document({"error": "invalid_client"}, 401)
        self.tokens += 1
        return _document({"access_token": f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 3600})


def _document(value: object, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def sample(server: Doors, url: str) -> bytes:
    """An answer, as one gets it by hand."""
    form = urlencode({"grant_type": "client_credentials"} | CREDENTIALS).encode()
    with urlopen(f"{server.origin}/oauth2/token", form) as answer:
        token = json.load(answer)["access_token"]
    with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
        return bytes(answer.read())


def wheel(folder: Path) -> Path:
    """The files of the wheel, as an installation has them."""
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def flows(environment: dict[str, str], *words: str) -> str:
    """The output of a command that succeeds."""
    done = subprocess.run([*FLOWS, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_newcomers_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PYTHONPATH", os.fspath(wheel(tmp_path / "dist")))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    named = {f"DOOR_EVENTS_{name.upper()}": value for name, value in CREDENTIALS.items()}
    environment = own_environment(home, **named)
    with Doors(clock=lambda: 0.0) as server:
        url = f"{server.origin}/v1/events?{QUERY}"
        flows(environment, "init", "mine")
        monkeypatch.chdir("mine")
        Path("answer.json").write_bytes(sample(server, url))
        words = ["--sample", "answer.json", "--url", url, "--token-url", f"{server.origin}/oauth2/token"]
        said = flows(environment, "source", "new", "door_events", *words)
        assert said.startswith("sources/door_events.yaml: ")
        assert {f"Set {name}." for name in named} <= set(said.splitlines())

        # What the newcomer writes, after a look into the API's documentation: `to` itself is outside the range.
        source = Path("sources/door_events.yaml")
        drafted = source.read_text()
        source.write_text(drafted.replace("written: iso, exact: false", "before_inclusive: false"))
        changes = difflib.ndiff(drafted.splitlines(), source.read_text().splitlines())
        assert 0 < sum(line.startswith("+ ") for line in changes) <= MOST_LINES
        flows(environment, "source", "check")
        window = re.search(r"--window (\S+)", said)
        assert window
        tried = json.loads(flows(environment, "source", "try", "door_events", "--window", window[1], "--json"))
        assert (tried["rows"], len(tried["requests"])) == (47, 4)  # the token, and three pages
        assert tried["ended"] == "no cursor at meta.next_cursor"

        with running_dev(environment) as process:
            lines = lines_until(process, READY)
            assert lines[-1:] == [READY], lines
            assert not any(line.startswith(("API", "No database yet")) for line in lines)
            keys = [f"2024-03-0{day}-00:00" for day in (1, 2, 3)]
            dagster = DagsterApi(environment)
            backfill = dagster.finished(dagster.launch(["door_events_windows", "door_events"], keys))
            assert backfill.counts == {"door_events_windows": (3, 3, 0), "door_events": (3, 3, 0)}, backfill.reasons
            files = Files(home)
            with emulator_client(
                f"http://127.0.0.1:{environment['FLOWS_EMULATOR_PORT']}", "local", "US", files.emulator_key
            ) as client:
                rows = client.query_and_wait(
                    "SELECT COUNT(*), COUNT(DISTINCT id) FROM local.flows_platform.door_events"
                )
                (counted,) = rows
            assert tuple(counted.values()) == (140, 140)
            assert "failed" not in flows(environment, "doctor")
    assert not files.database.exists()
    assert not processes_of(str(home))
