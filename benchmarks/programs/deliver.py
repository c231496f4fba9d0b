"""Senders of alerts: `deliver.py HOST PORT PATH --senders N --alerts M --prefix P`.

Posts M alerts, one in a delivery, by N senders at once, each on a connection that it keeps where the server does.
Prints the seconds of all and the 99th percentile of one delivery. Every answer must be 200. Standard library only.
"""

import argparse
import json
import sys
import threading
import time
from http.client import HTTPConnection

CREATED = 1_700_000_000_000


def deliver(connection: HTTPConnection, path: str, alert: str, created: int) -> float:
    """Post one alert; gives the seconds to its answer."""
    body = json.dumps({
        "alerts": [{"id": alert, "title": "Suspicious activity", "created_at": created, "severity": 1,
                    "organization_id": "5c0b7d9e1f2a3b4c5d6e7f80", "server_or_region": "web-1", "source": "agent"}]
    })  # fmt: skip
    started = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:  # noqa: PLR2004
        sys.exit(f"the server said {response.status}: {answer[:300]!r}")
    return time.perf_counter() - started


def main() -> None:
    """Read the arguments, then deliver."""
    parser = argparse.ArgumentParser()
    for name, kind in (("host", str), ("port", int), ("path", str)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--senders", type=int, required=True)
    parser.add_argument("--alerts", type=int, required=True)
    parser.add_argument("--prefix", required=True)
    given = parser.parse_args()
    taken: list[float] = []
    failures: list[BaseException] = []

    def work(sender: int) -> None:
        connection = HTTPConnection(given.host, given.port, timeout=120)
        try:
            for number in range(sender, given.alerts, given.senders):
                alert = f"{given.prefix}{number:08x}"
                taken.append(deliver(connection, given.path, alert, CREATED + number * 1000))
        except BaseException as error:  # noqa: BLE001  the main thread ends with it
            failures.append(error)

    senders = [threading.Thread(target=work, args=(number,)) for number in range(given.senders)]
    started = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.perf_counter() - started
    if failures:
        sys.exit(f"a sender failed: {failures[0]}")
    p99 = sorted(taken)[int(len(taken) * 0.99) - 1 if len(taken) > 1 else 0]
    print(json.dumps({"seconds": seconds, "p99": p99}))


if __name__ == "__main__":
    main()
