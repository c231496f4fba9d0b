"""The server as a process: what it says, what it loads, how it starts, ends and how much memory it takes."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from api_server.server import run
from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.flow_database import layout
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Server, build, build_plain, configured, flows

CODE = """
import sys
from pathlib import Path
from api_server.config import ServerConfig
from api_server.cves.feature import CveFeature
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.server import run
features = [FlowsFeature(FlowsConfig(Path(sys.argv[1]))), CveFeature(None)]
run(ServerConfig(shutdown_seconds=1), features, "127.0.0.1", 0)
"""
FLAT = 64 * 2**20


@contextmanager
def child(database: Path) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CODE, str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            port = re.search(rf"serving {re.escape(str(database))}, CVEs on http://127\.0\.0\.1:(\d+)/", line)
            assert port, line + process.stderr.read()
            yield process, Server(int(port[1]))
        finally:
            process.kill()


def test_it_says_one_line_and_ends_on_a_signal(tmp_path: Path) -> None:
    with child(build(tmp_path / "flows.db", flows(10))) as (process, server):
        assert server.get("/healthz")[0].status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_it_ends_although_a_reader_stalls(tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(200_000))
    with child(database) as (process, server), server.answer("/api/v1/stream/flows") as response:
        response.read(1000)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("change", ["missing", "foreign", "no table", "lacks a column", "folder"])
def test_a_database_that_is_none_is_named(tmp_path: Path, change: str) -> None:
    database = tmp_path / "flows.db"
    match change:
        case "foreign":
            database.write_bytes(b"id,time\n" * 1000)
        case "no table":
            apsw.Connection(str(database)).execute("CREATE TABLE other (id)").connection.close()
        case "lacks a column":
            build_plain(database, [])
            apsw.Connection(str(database)).execute("ALTER TABLE flows DROP COLUMN protocol").connection.close()
        case "folder":
            database.mkdir()
    with pytest.raises(InputError, match="flows load") as caught:
        run(*configured(database), "127.0.0.1", 0)
    assert str(database) in str(caught.value)
    assert change != "lacks a column" or "lacks the column protocol" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "host.invalid"])
def test_an_address_that_cannot_be_bound_is_named(tmp_path: Path, host: str) -> None:
    database = build(tmp_path / "flows.db", [])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"{re.escape(host)}:{port} .*--port"):
            run(*configured(database), host, port)


UNWANTED = {"pyarrow", "lxml", "ijson", "google", "dagster", "pandas", "pydantic", "urllib3"}


def test_it_loads_no_parser_and_no_client() -> None:
    modules = "api_server.server, api_server.flows.feature, api_server.cves.feature"
    code = f"import sys, {modules}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({*UNWANTED, "sqlalchemy", "psycopg"})


def large(path: Path, rows: int) -> Path:
    """As `build`, by sqlite itself: millions of rows in seconds."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "off")
    connection.pragma("synchronous", "off")
    connection.execute(layout.create_table(FLOWS))
    connection.execute(layout.CREATE_SUMMARY)
    connection.execute(
        "INSERT INTO flows WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "SELECT i, i / 100, i % 60, 'C' || (i % 9999), 'N' || (i % 777), 'C' || (i % 88), '80', 6, 1, i * 40 FROM n",
        (rows,),
    )
    connection.execute(layout.create_index(FLOWS))
    connection.execute("INSERT INTO load_facts VALUES ('flows', ?, 1, 1)", (rows,))
    connection.close()
    return path


def peak(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def drain(server: Server, path: str, **headers: str) -> tuple[int, int]:
    """The number of records announced and of bytes read; the bytes are not kept."""
    with server.answer(path, **headers) as response:
        total = 0
        while data := response.read(2**20):
            total += len(data)
        return int(response.headers["Record-Count"]), total


def peaks(database: Path, rows: int) -> int:
    """The server's peak of memory after every format was streamed whole."""
    with child(database) as (process, server):
        for wire_format in WireFormat:
            for coding in ("identity", "gzip"):
                announced, total = drain(server, f"/api/v1/stream/flows?format={wire_format}", Accept_Encoding=coding)
                assert announced == rows
                assert total > rows
        return peak(process)


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path) -> None:
    small = peaks(large(tmp_path / "small.db", 100_000), 100_000)
    big = peaks(large(tmp_path / "big.db", 3_000_000), 3_000_000)
    assert big - small < FLAT
    assert big < 256 * 2**20


@pytest.mark.slow
def test_memory_is_flat_without_facts(tmp_path: Path) -> None:
    def without_facts(path: Path, rows: int) -> int:
        connection = apsw.Connection(str(large(path, rows)))
        connection.execute("DELETE FROM load_facts")
        connection.close()
        with child(path) as (process, server):
            assert drain(server, "/api/v1/stream/flows?scanned_after=0&format=ndjson")[0] == rows - 99
            return peak(process)

    assert without_facts(tmp_path / "big.db", 3_000_000) - without_facts(tmp_path / "small.db", 100_000) < FLAT
