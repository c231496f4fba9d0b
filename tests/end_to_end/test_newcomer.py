"""From an empty folder to a table: `init`, `source new`, `try`, `dev`, and a backfill as the UI launches it."""

import json
import os
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
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
QUERY = "from=2024-03-01T00:00:00Z&to=2024-03-02T00:00:00Z&limit=20"


class Doors(VendorServer):
    """Door events by pages with a cursor, for those who show the token."""

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != "Bearer s3cr3t":
            return Answer(401, {"Content-Type": "application/json"}, b'{"error": "no token"}')
        first, last = (datetime.fromisoformat(asked.parameters[name]) for name in ("from", "to"))
        rows = [(number, time) for number, time in enumerate(TIMES) if first <= time < last]
        start = int(asked.parameters.get("cursor", 0))
        events = [
            {"id": f"d{number}", "openedAt": time.isoformat(), "door": {"name": "north", "floor": 2}}
            for number, time in rows[start : start + SIZE]
        ]
        cursor = str(start + SIZE) if start + SIZE < len(rows) else None
        body = {"events": events, "meta": {"next_cursor": cursor}}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def flows(environment: dict[str, str], *words: str) -> str:
    """The output of a command that succeeds."""
    done = subprocess.run([*FLOWS, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_newcomers_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).resolve().parents[2]))
    monkeypatch.chdir(tmp_path)
    environment = own_environment(home, DOOR_EVENTS_TOKEN="s3cr3t")  # noqa: S106 - the stand-in's
    with Doors(clock=lambda: 0.0) as server:
        url = f"{server.origin}/v1/events?{QUERY}"
        flows(environment, "init", "mine")
        monkeypatch.chdir(tmp_path / "mine")
        with urlopen(Request(url, headers={"Authorization": "Bearer s3cr3t"})) as answer:
            Path("answer.json").write_bytes(answer.read())
        said = flows(environment, "source", "new", "door_events", "--sample", "answer.json", "--url", url)
        assert said.startswith("sources/door_events.yaml: ")

        # What the newcomer writes: the draft has it as a comment.
        source = Path("sources/door_events.yaml")
        source.write_text(source.read_text().replace("# auth: {kind: bearer", "auth: {kind: bearer"))
        flows(environment, "source", "check")
        window = re.search(r"--window (\S+)", said)
        assert window
        tried = json.loads(flows(environment, "source", "try", "door_events", "--window", window[1], "--json"))
        assert (tried["rows"], len(tried["requests"])) == (47, 3)
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
