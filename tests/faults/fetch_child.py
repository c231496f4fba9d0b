"""Run as `python -m tests.faults.fetch_child`: for each line `URL TARGET LIMIT` of its input, a worker that fetches.

It writes the worker's process id, and when that has ended its outcome: `0`, the signal as a negative number, or the
error. LIMIT is the size in bytes from which files cannot grow; 0 is none.
"""

import os
import resource
import sys
from pathlib import Path

import stamina

from flows_platform.domain.errors import PlatformError
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.fetch.flow_bodies import BOUNDS


def fetch(url: str, target: Path) -> str:
    """The error's type and message, or "0"."""
    stamina.set_testing(True, attempts=1)
    try:
        fetch_window(HttpClient(), WindowedApi(url=url, schema=FLOWS), BOUNDS, target, max_rejected=10**6, tries=1)
    except PlatformError as error:
        return f"{type(error).__name__}: {error}"
    return "0"


def worker(url: str, target: Path, limit: int, told: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.write(told, fetch(url, target).encode())
    os._exit(0)


def tell(text: str) -> None:
    sys.stdout.write(text.replace("\n", " ") + "\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        url, target, limit = line.split()
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            worker(url, Path(target), int(limit), writing)
        os.close(writing)
        tell(str(process))
        _, status = os.waitpid(process, 0)
        said = os.read(reading, 4096).decode()
        os.close(reading)
        tell(said or str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
