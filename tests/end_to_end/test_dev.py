"""`flows dev` as a person runs it: one process that starts all, and ends all."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

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


def test_a_project_of_webhooks_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    nobody = shipped_file("threatstack_alerts").read_text().replace("https://app.threatstack.com", "http://127.0.0.1:9")
    (folder / "alerts.yaml").write_text(nobody)
    environment = own_environment(
        tmp_path / "home", FLOWS_SOURCES=folder, THREATSTACK_HOOK_SECRET=KEY, THREATSTACK_API_KEY=KEY
    )
    with running_dev(environment) as dev:
        lines = lines_until(dev, READY)
        (url,) = re.findall(r"^Webhook +(http\S+/api/v1/s3/alert)$", "\n".join(lines), re.MULTILINE)[:1]
        assert assets(environment) >= {"threatstack_alerts_archive", "threatstack_alerts"}
        alert = {"alerts": [{"id": "52ebb55f", "created_at": 1_700_000_000_123, "severity": 1}]}
        with urlopen(Request(f"{url}/{KEY}", json.dumps(alert).encode()), timeout=60) as answer:
            assert json.loads(answer.read()) == {"success": True, "archived": 1, "repeated": 0}
        archived = tmp_path / "home/archive/webhooks/2023/11/14/22/13/52ebb55f"
        assert json.loads(archived.read_text()) == alert["alerts"][0]
        with urlopen(f"{url.removesuffix('/s3/alert')}/reports", timeout=60) as answer:
            names = [report["name"] for report in json.loads(answer.read())["reports"]]
        assert {"alerts_by_severity", "alerts_of_server"} <= set(names)
