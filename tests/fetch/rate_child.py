"""Run as `python -m tests.fetch.rate_child FOLDER URL REQUESTS SECONDS COUNT`: requests through one gate.

Prints the time at which every request was recorded. With COUNT 0 it takes a slot, prints `held` and waits for a kill.
"""

import sys
import time
from pathlib import Path

from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.rate_limit import RateBudget, RateGate
from flows_platform.fetch.http.request import Request


def tell(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(folder: str, url: str, *figures: str) -> None:
    requests, seconds, count = map(int, figures)
    read: list[float] = []

    def clock() -> float:
        read.append(time.time())
        return read[-1]

    gate = RateGate(
        RateBudget(requests=requests, seconds=seconds, concurrency=2 if count else 1), Path(folder), "api", clock
    )
    if not count:
        with gate.slot():
            tell("held")
            time.sleep(600)
    client = HttpClient(gate=gate)
    for _ in range(count):
        with client.stream(Request(url)) as answer:
            answer.read()
            tell(repr(read[-1]))  # the last reading of the clock let the request through
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
