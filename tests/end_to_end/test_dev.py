"""`flows dev` as a person runs it: one process that starts all, and ends all."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from flows_platform.supervision.ports import free_port

pytestmark = pytest.mark.slow
FLOWS = (sys.executable, "-m", "flows_platform")
SERVE = ["-m", "flows_platform", "serve"]
PORTS = ("API", "EMULATOR", "EMULATOR_GRPC", "DAGSTER", "DAGSTER_CODE")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ports = {f"FLOWS_{name}_PORT": str(free_port()) for name in PORTS}
    return {**os.environ, **ports, "FLOWS_HOME": str(tmp_path), "FLOWS_SAMPLE_ROWS": "2000", "FLOWS_DAYS": "1"}


@pytest.fixture
def dev(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*FLOWS, "dev"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        if process.poll() is None:
            process.terminate()


def lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if lines[-1] == last:
            break
    return lines


def processes_of(home: str) -> list[int]:
    """The processes that were started with this home in their environment."""
    mark = f"FLOWS_HOME={home}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def assets(address: str) -> set[str]:
    query = json.dumps({"query": "{assetNodes{assetKey{path}}}"}).encode()
    request = Request(f"{address}graphql", query, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        nodes = json.load(answer)["data"]["assetNodes"]
    return {"/".join(node["assetKey"]["path"]) for node in nodes}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_quietly_and_ends_with_all_it_started(
    dev: subprocess.Popen[str], environment: dict[str, str], number: signal.Signals
) -> None:
    lines = lines_until(dev, "Ctrl-C stops everything.")
    addresses = dict(re.findall(r"^(Dagster UI|API) +(http\S+)$", "\n".join(lines), re.MULTILINE))
    assert {"raw_flows", "flow_windows", "flows"} <= assets(addresses["Dagster UI"])
    with urlopen(f"{addresses['API']}healthz", timeout=60) as answer:
        assert answer.status == 200
    assert [line for line in lines if " | " in line] == []

    (server,) = (pid for pid in processes_of(environment["FLOWS_HOME"]) if command(pid)[1:4] == SERVE)
    os.kill(server, signal.SIGKILL)
    assert any("starting it again in 1 s." in line for line in lines_until(dev, "api is back."))
    with urlopen(f"{addresses['API']}healthz", timeout=60) as answer:
        assert answer.status == 200

    dev.send_signal(number)

    assert dev.wait(60) == (0 if number == signal.SIGINT else 128 + number)
    assert processes_of(environment["FLOWS_HOME"]) == []


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_is_told_before_anything_starts(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    variable = f"FLOWS_{name}_PORT"
    with socket.create_server(("127.0.0.1", int(environment[variable]))):
        done = subprocess.run([*FLOWS, "dev"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert variable in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "emulator").exists()
