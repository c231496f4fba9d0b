"""Servers as children of the benchmark, for the length of a block; and one request to them, measured."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from benchmarks.contest import Trial
from benchmarks.environment import OTHERS, baseline, child_environment, flows, program
from benchmarks.processes import cpu_seconds, largest_peak, run
from flows_platform.local.child import ChildProcess
from flows_platform.local.ports import free_port, listens
from flows_platform.local.supervisor import Supervisor

HOST = "127.0.0.1"
STREAM = "/api/v1/stream/flows"
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def drain(self, path: str, rows: int, *options: str, figure: str = "seconds") -> Trial:
        """Read what `path` gives, `rows` rows, to its end; `figure` may be `first`, the seconds to its first byte.

        CPU-seconds and memory are the server's, the memory up to now.
        """
        before = cpu_seconds(self.pid)
        with tempfile.TemporaryDirectory() as folder:
            printed = Path(folder) / "printed.json"
            run(program("drain", HOST, self.port, path, *options), output=printed)
            seconds = json.loads(printed.read_text())[figure]
        return Trial(rows, seconds, cpu_seconds(self.pid) - before, largest_peak(self.pid))

    def ask(self, path: str, count: int, *options: str) -> Trial:
        """Ask for `path` `count` times, one after the other: a trial of one request, of the median's seconds.

        Others on the machine disturb a median less than a sum.
        """
        trial, median = self._asked(path, count, *options)
        return Trial(1, median, trial.cpu / count, trial.rss)

    def ask_at_once(self, path: str, count: int) -> Trial:
        """Ask for `path` on `count` connections at once; until the last answer has ended."""
        return self._asked(path, count, "--at-once")[0]

    def _asked(self, path: str, count: int, *options: str) -> tuple[Trial, float]:
        """All requests as one trial, and the median seconds of one."""
        before = cpu_seconds(self.pid)
        with tempfile.TemporaryDirectory() as folder:
            printed = Path(folder) / "printed.json"
            run(program("ask", HOST, self.port, path, count, *options), output=printed)
            found = json.loads(printed.read_text())
        trial = Trial(count, found["seconds"], cpu_seconds(self.pid) - before, largest_peak(self.pid))
        return trial, found["median"]

    def deliver(self, path: str, alerts: int, senders: int, prefix: str, *, figure: str = "seconds") -> Trial:
        """Post alerts by senders at once, one in a delivery; `figure` may be `p99`, of the seconds to one answer."""
        before = cpu_seconds(self.pid)
        with tempfile.TemporaryDirectory() as folder:
            printed = Path(folder) / "printed.json"
            options = ("--senders", senders, "--alerts", alerts, "--prefix", prefix)
            run(program("deliver", HOST, self.port, path, *options), output=printed)
            seconds = json.loads(printed.read_text())[figure]
        return Trial(alerts, seconds, cpu_seconds(self.pid) - before, largest_peak(self.pid))

    def save(self, path: str, target: Path) -> Path:
        """What `path` gives, decoded, as a file."""
        answer = urllib3.request("GET", self.url + path, preload_content=False, timeout=600.0)
        with target.open("wb") as file:
            for data in answer.stream(COPY_BYTES, decode_content=True):
                file.write(data)
        return target


@contextmanager
def _served(
    name: str, command: Sequence[str], port: int, log: Path, settings: Mapping[str, str] = {}
) -> Iterator[Server]:
    child = ChildProcess(
        name=name, argv=command, log=log / f"{name}.log", ready=lambda: listens(port), env=child_environment(settings)
    )
    with Supervisor() as supervisor:
        (running,) = supervisor.start(child)
        yield Server(port, running.pid)


@contextmanager
def api(database: Path, log: Path) -> Iterator[Server]:
    """Our own server."""
    port = free_port()
    with _served("api", flows("serve", "--database", database, "--no-reports", "--port", port), port, log) as server:
        yield server


@contextmanager
def reports(settings: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Our own server of reports."""
    port = free_port()
    command = flows("serve", "--port", port, "--reports-a-minute", 0)
    with _served("reports", command, port, log, settings) as server:
        yield server


@contextmanager
def guide(orders: Path, log: Path) -> Iterator[Server]:
    """The guide's route over a DuckDB database of orders."""
    port = free_port()
    with _served("guide", baseline("guide_route.py", orders, port), port, log) as server:
        yield server


@contextmanager
def flask(database: Path, log: Path) -> Iterator[Server]:
    """Flask, a row at a time, on its own server."""
    port = free_port()
    with _served("flask", baseline("flask_rows.py", database, port, python=OTHERS), port, log) as server:
        yield server


@contextmanager
def datasette(database: Path, log: Path) -> Iterator[Server]:
    """Datasette with its limit on the size of a CSV taken away."""
    port = free_port()
    options = ("--host", HOST, "--port", str(port), "--setting", "max_csv_mb", "0")
    command = (str(OTHERS), "-m", "datasette", "serve", str(database), *options)
    with _served("datasette", (*command, "--setting", "sql_time_limit_ms", "60000"), port, log) as server:
        yield server


@contextmanager
def raw_socket(body: Path, log: Path) -> Iterator[Server]:
    """The bytes of a file, from memory: the upper bound of any server."""
    port = free_port()
    with _served("raw_socket", baseline("raw_socket.py", port, body), port, log) as server:
        yield server


@contextmanager
def hooks(home: Path, log: Path, settings: Mapping[str, str] = {}) -> Iterator[Server]:
    """Our receiver of alerts; its archive is in `home`, or where the settings say."""
    port = free_port()
    settings = {"FLOWS_HOME": str(home), **settings}
    with _served("hooks", flows("hook", "demo", "--port", port), port, log, settings) as server:
        yield server


@contextmanager
def s3_alerts(bucket: str, endpoint: str, vendor: str, log: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """An archive of alerts as a small web service makes one, in S3."""
    port = free_port()
    with _served("s3_alerts", baseline("s3_alerts.py", port, bucket, endpoint, vendor), port, log, settings) as server:
        yield server


@contextmanager
def vendor(seconds: float, log: Path) -> Iterator[Server]:
    """A vendor that gives the detail of an alert after some seconds."""
    port = free_port()
    with _served(f"vendor_{seconds:g}", baseline("vendor.py", port, seconds), port, log) as server:
        yield server
