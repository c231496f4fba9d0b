"""100 thousand rows against 3 million, in each format: memory of server and fetch is flat, parsers agree."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.flow_database.load import load
from flows_platform.flow_database.read import iter_rows
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.local.ports import free_port
from flows_platform.sources.lanl_flows.cleaning import clean
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.schema import FLOWS

ROWS, SMALL = 3_000_000, 100_000
GROWTH_MB = 64
MOST_MB = 256  # of a fetch

FETCH = """
from pathlib import Path
from tests.fetch.flow_bodies import seconds
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.api import WindowedApi
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.protocol.names import Parser
url, last, wire, out = {url!r}, {last}, WireFormat({wire!r}), Path({out!r})
api = WindowedApi(url=url, schema=FLOWS, format=wire, parser=Parser({parser!r}))
print(fetch_window(HttpClient(), api, seconds(None, last), out).file.rows)
# VmHWM and not ru_maxrss: that one keeps the parent's peak across exec.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    generate(folder / "raw.txt", rows=ROWS, days=2)
    clean(folder / "raw.txt", folder / "clean.csv", folder / "rejects.csv")
    load(folder / "clean.csv", folder / "flows.db", FLOWS)
    for name in ("raw.txt", "clean.csv"):
        (folder / name).unlink()
    return folder / "flows.db"


class Server:
    """A server process whose peak can be read and forgotten."""

    def __init__(self, database: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "flows_platform", "serve", "--database", database, "--port", port]
        self.url = f"http://127.0.0.1:{port}/api/v1/stream/flows"
        self.process = subprocess.Popen([str(word) for word in command])
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[Server]:
    server = Server(database)
    yield server
    server.process.terminate()
    server.process.wait(60)


def second_of_row(database: Path, number: int) -> int:
    return next(int(str(row[1])) for row in iter_rows(database, FLOWS) if row[0] == number)


def fetch(
    server: Server, wire: WireFormat, last: int, out: Path, parser: Parser = Parser.TEMPLATE
) -> tuple[int, float, float]:
    """Rows, the fetch's peak and the server's peak, in MB."""
    server.forget_peak()
    script = FETCH.format(url=server.url, last=last, wire=wire.value, out=str(out), parser=parser.value)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    return rows, peak / 1024, server.peak_mb()


@pytest.mark.slow
@pytest.mark.parametrize("wire", list(WireFormat))
def test_memory_is_flat(server: Server, database: Path, tmp_path: Path, wire: WireFormat) -> None:
    last = second_of_row(database, SMALL)
    small = fetch(server, wire, last, tmp_path / "small.parquet")
    large = fetch(server, wire, 200_000, tmp_path / "large.parquet")
    assert SMALL <= small[0] < 2 * SMALL
    assert large[0] == ROWS
    assert large[1] <= MOST_MB, f"fetch: {large[1]:.0f} MB"
    assert large[1] - small[1] <= GROWTH_MB, f"fetch: {small[1]:.0f} MB to {large[1]:.0f} MB"
    assert large[2] - small[2] <= GROWTH_MB, f"server: {small[2]:.0f} MB to {large[2]:.0f} MB"


@pytest.mark.slow
@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.NDJSON, WireFormat.XML, WireFormat.CSV])
def test_both_parsers_give_the_same_table(server: Server, tmp_path: Path, wire: WireFormat) -> None:
    tables = []
    for parser in Parser:
        rows, peak, _ = fetch(server, wire, 200_000, tmp_path / "window.parquet", parser)
        assert rows == ROWS
        assert peak <= MOST_MB, parser
        tables.append(pq.read_table(tmp_path / "window.parquet"))
    assert tables[0].schema == tables[1].schema
    assert tables[0].equals(tables[1])
