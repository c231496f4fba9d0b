"""`flows dev` as a process of its own, with ports and a home that nobody else has, and what it started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from flows_platform.local.ports import free_port
from flows_platform.settings import Files

FLOWS = (sys.executable, "-m", "flows_platform")
SERVE = ["-m", "flows_platform", "serve"]
DEFINITIONS = ["-m", "dagster", "api"]
DAEMON = ["dagster-daemon", "run"]
PORTS = ("API", "EMULATOR", "DAGSTER")
READY = "Ctrl-C stops everything."


def own_environment(home: Path, **settings: object) -> dict[str, str]:
    """The settings of a platform that runs beside any other."""
    ports = {f"FLOWS_{name}_PORT": str(free_port()) for name in PORTS}
    return {**os.environ, **ports, "FLOWS_HOME": str(home), **{name: str(value) for name, value in settings.items()}}


@contextmanager
def running_dev(environment: dict[str, str], *flags: str) -> Iterator[subprocess.Popen[str]]:
    """The process, with its output as lines; it is asked to end with the block, and waited for."""
    with subprocess.Popen(
        [*FLOWS, "dev", *flags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    """The lines it says, up to the line `last`."""
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


def process_of(environment: Mapping[str, str], command: list[str]) -> int:
    """The one process that runs this command: `SERVE` the API server's, `DEFINITIONS` behind the code server.

    A child of it that has not become another program yet looks like it, and does not count.
    """
    alike = [pid for pid in processes_of(environment["FLOWS_HOME"]) if _command(pid)[: len(command)] == command]
    (found,) = (pid for pid in alike if _parent(pid) not in alike)
    return found


def _command(pid: int) -> list[str]:
    """After the interpreter: the program's name, without its folder, and arguments. Nothing of one that is ending."""
    try:
        _, *words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
    return [Path(words[0]).name, *words[1:]] if words else []


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def ask_dagster(environment: Mapping[str, str], query: str, **variables: object) -> dict[str, Any]:
    """Dagster's own answer to a GraphQL query or mutation, under `flows dev` in this environment."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    key = Files(Path(environment["FLOWS_HOME"])).dagster_key.read_text()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = Request(f"http://127.0.0.1:{environment['FLOWS_DAGSTER_PORT']}/graphql", body, headers)
    with urlopen(request, timeout=60) as answer:
        told: dict[str, Any] = json.load(answer)
    assert "errors" not in told, told["errors"]
    data: dict[str, Any] = told["data"]
    return data
