"""`flows dev` as a person runs it: one process that starts all, and ends all."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from flows_platform.components.source_files import shipped_file
from tests.conditions import eventually
from tests.end_to_end.dev_process import (
    DEFINITIONS,
    FLOWS,
    PORTS,
    READY,
    SERVE,
    ask_dagster,
    lines_until,
    own_environment,
    process_of,
    processes_of,
    running_dev,
)
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.ui.dagster_api import DagsterApi
from tests.webhooks.declared import KEY

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return own_environment(tmp_path, FLOWS_SAMPLE_ROWS=2000, FLOWS_DAYS=1)


@pytest.fixture
def dev(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with running_dev(environment) as process:
        yield process


def assets(environment: dict[str, str]) -> set[str]:
    nodes = ask_dagster(environment, "{assetNodes{assetKey{path}}}")["assetNodes"]
    return {"/".join(node["assetKey"]["path"]) for node in nodes}


def doctor(environment: dict[str, str]) -> tuple[int, str]:
    """Its exit code, and the last line it says."""
    done = subprocess.run([*FLOWS, "doctor"], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_quietly_and_ends_with_all_it_started(
    dev: subprocess.Popen[str], environment: dict[str, str], number: signal.Signals
) -> None:
    lines = lines_until(dev, READY)
    addresses = dict(re.findall(r"^(Dagster UI|API) +(http\S+)$", "\n".join(lines), re.MULTILINE))
    assert {"raw_flows", "flow_windows", "flows"} <= assets(environment)
    with urlopen(f"{addresses['API']}healthz", timeout=60) as answer:
        assert answer.status == 200
    assert [line for line in lines if " | " in line] == []
    assert doctor(environment) == (0, "All checks passed.")

    os.kill(process_of(environment, SERVE), signal.SIGKILL)
    assert any("starting it again in 1 s." in line for line in lines_until(dev, "api is back."))
    with urlopen(f"{addresses['API']}healthz", timeout=60) as answer:
        assert answer.status == 200

    dev.send_signal(number)

    assert dev.wait(60) == (0 if number == signal.SIGINT else 128 + number)
    assert processes_of(environment["FLOWS_HOME"]) == []
    assert doctor(environment) == (0, "All checks passed.")  # as before the first start


def test_definitions_come_back_where_their_process_is_killed(
    dev: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    """Dagster's own code server runs on without them."""
    lines_until(dev, READY)
    os.kill(process_of(environment, DEFINITIONS), signal.SIGKILL)

    assert "code runs but no longer serves; stopping it." in lines_until(dev, "code is back.")
    assert eventually(lambda: "flow_windows" in assets(environment), 60)


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_is_told_before_anything_starts(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    variable = f"FLOWS_{name}_PORT"
    with socket.create_server(("127.0.0.1", int(environment[variable]))):
        done = subprocess.run([*FLOWS, "dev"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert variable in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "emulator").exists()


def threat_stack(asked: Asked) -> Answer:
    """The detail of any alert."""
    if asked.headers.get("authorization") != KEY:
        return document({}, 401)
    return document({"id": asked.path.rpartition("/")[2], "rule_id": "rule-1", "severity": 2})


def said(environment: dict[str, str], *words: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run([*FLOWS, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.mark.timeout(900)
def test_a_signed_delivery_becomes_a_report(tmp_path: Path) -> None:
    """`flows hook send`, the archive with its detail, a window, the table, a report."""
    folder, body = tmp_path / "sources", tmp_path / "alert.json"
    folder.mkdir()
    alert = {"id": "52ebb55f", "created_at": 1_700_000_000_123, "severity": 1, "title": "Netcat"}
    body.write_text(json.dumps({"alerts": [alert]}))
    with SmallServer(threat_stack) as vendor:
        text = shipped_file("threatstack_alerts").read_text()
        (folder / "alerts.yaml").write_text(text.replace("https://app.threatstack.com", vendor.origin))
        environment = own_environment(
            tmp_path / "home", FLOWS_SOURCES=folder, THREATSTACK_HOOK_SECRET=KEY, THREATSTACK_API_KEY=KEY
        )
        with running_dev(environment) as dev:
            lines = lines_until(dev, READY)
            (url,) = re.findall(r"^Webhook +(http\S+/api/v1/s3/alert)$", "\n".join(lines), re.MULTILINE)[:1]
            assert assets(environment) >= {"threatstack_alerts_archive", "threatstack_alerts"}
            sent = said(environment, "hook", "send", "threatstack_alerts", "--file", str(body))
            assert '200 {"success":true,"archived":1,"repeated":0}' in sent
            archived = tmp_path / "home/archive/webhooks/2023/11/14/22/13/52ebb55f"
            assert json.loads(archived.read_text()) == alert
            assert eventually((tmp_path / "home/archive/alerts/52/eb/52ebb55f").exists, 60)
            dagster = DagsterApi(environment)
            found = dagster.finished(
                dagster.launch(["threatstack_alerts_windows", "threatstack_alerts"], ["2023-11-14-21:00"])
            )
            assert found.status == "COMPLETED_SUCCESS", found
            with urlopen(f"{url.removesuffix('/s3/alert')}/reports", timeout=60) as answer:
                names = [report["name"] for report in json.loads(answer.read())["reports"]]
            assert {"alerts_by_severity", "alerts_of_server", "time_to_detail"} <= set(names)
            days = ("--start", "2023-11-14", "--end", "2023-11-15")
            assert said(environment, "report", "get", "alerts_by_severity", *days) == "severity,rows\n2,1\n"
            waited = said(environment, "report", "get", "time_to_detail", *days).splitlines()
            assert waited[0] == "day,alerts,without_detail,within_a_minute,mean_seconds,longest_seconds"
            assert re.fullmatch(r"2023-11-14\S*,1,0,0,(\d+),\1", waited[1])
            assert len(waited) == 2
