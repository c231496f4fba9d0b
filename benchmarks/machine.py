"""The machine of the measurements, and whether anything else was running meanwhile."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from benchmarks.environment import OTHERS, ROOT, others_installed

BUSY = 0.1  # share of the CPUs that others may use before the figures carry a warning
OURS = ("pyarrow", "ijson", "lxml", "apsw", "isal", "uvicorn", "starlette", "urllib3", "dagster", "local-bigquery")
THEIRS = ("flask", "werkzeug", "datasette", "dlt", "duckdb", "tenzir")
ASK = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def facts() -> dict[str, object]:
    """The machine and the versions of everything that is measured."""
    return {
        "CPU": _line("/proc/cpuinfo", "model name"),
        "CPUs": os.cpu_count(),
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "sqlite3": _said("sqlite3", "--version").partition(" ")[0],
        "curl": _said("curl", "--version").removeprefix("curl ").partition(" ")[0],
        "awk": Path(_said("sh", "-c", "readlink -f $(command -v awk)")).name,
        "commit": commit(),
        "packages": {name: version(name) for name in OURS} | _theirs(),
    }


def commit() -> str:
    """The commit of the product; where its files differ from it, a digest of the difference too."""
    changed = _said("git", "-C", str(ROOT), "diff", "HEAD", "--", "flows_platform", "api_server")
    mark = f" with changes {sha256(changed.encode()).hexdigest()[:8]}" if changed else ""
    return _said("git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", "flows_platform", "api_server") + mark


def busy_share(seconds: float) -> float:
    """The share of the CPUs that was not idle, watched for `seconds`: what others do before we start."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    total = sum(after.values()) - sum(before.values())
    return 1 - (after["idle"] - before["idle"]) / total if total else 0.0


def load_average() -> list[float]:
    """The load average of 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def _ticks() -> Mapping[str, int]:
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    numbers = list(map(int, words))
    idle = numbers[3] + numbers[4]  # idle, and waiting for a disk
    return {"idle": idle, "busy": sum(numbers[:3]) + sum(numbers[5:8])}


def _line(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _theirs() -> dict[str, str]:
    return dict(json.loads(_said(str(OTHERS), "-c", ASK, *THEIRS))) if others_installed() else {}


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - ours
    except FileNotFoundError:
        return "absent"
