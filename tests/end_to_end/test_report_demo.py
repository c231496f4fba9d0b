"""`flows report demo` as a person runs it: orders loaded, reports served, everything stopped; the second start."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from flows_platform.local.ports import free_port
from flows_platform.sources.tpch_orders.generate import connected
from tests.conditions import eventually
from tests.end_to_end.dev_process import FLOWS, READY, lines_until, processes_of
from tests.end_to_end.test_cli import failed, flows

TOP10 = "/connector/customers/top10"


@contextmanager
def running_demo(home: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    environment = {**os.environ, "FLOWS_HOME": str(home)}
    with subprocess.Popen(
        [*FLOWS, "report", "demo", "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process, lines_until(process, READY)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def asked(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        text: str = answer.read().decode()
        return text


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The ten customers of the default range, by DuckDB."""
    sql = (
        "SELECT o_custkey, sum(o_totalprice) FROM orders WHERE o_orderdate BETWEEN '1995-01-01' AND '1995-03-31' "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
    )
    with connected(tmp_path_factory.mktemp("raw") / "raw.duckdb") as connection:
        connection.execute("CALL dbgen(sf = 0.01)")
        return [{"O_CUSTKEY": key, "SUM_TOTALPRICE": f"{total:f}"} for key, total in connection.execute(sql).fetchall()]


@pytest.mark.slow
@pytest.mark.timeout(900)  # 80 windows: half a minute on a quiet machine
def test_the_demo_serves_orders_and_stops(tmp_path: Path, expected: list[dict[str, object]]) -> None:
    home, port = tmp_path / "flows", free_port()
    with running_demo(home, port) as (process, lines):
        assert f"Base URL      http://127.0.0.1:{port}" in lines
        assert json.loads(asked(port, TOP10)) == expected
        assert json.loads(asked(port, f"{TOP10}?start_range=1995-01-01&end_range=1995-03-31")) == expected
        listed = {report["name"] for report in json.loads(asked(port, "/api/v1/reports"))["reports"]}
        assert listed == {"top10_customers", "clerk_yearly_sales"}
        rows = json.loads(asked(port, "/snowpark/clerk/000000001/yearly_sales/1995"))
        assert {row["O_CLERK"] for row in rows} == {"Clerk#000000001"}
        # A second demo of this folder is one clear line.
        other = flows("report", "demo", "--port", free_port(), cwd=tmp_path, FLOWS_HOME=str(home))
        failed(other, 2, "another process uses")
    assert process.returncode == 0
    folders = (home, home / "report_demo")
    assert eventually(lambda: not any(processes_of(str(folder)) for folder in folders))
    before = committed(home)
    assert before == 80
    with running_demo(home, port) as (_, lines):
        assert f"Base URL      http://127.0.0.1:{port}" in lines
        assert json.loads(asked(port, TOP10)) == expected
    assert committed(home) == before  # nothing was loaded again


def committed(home: Path) -> int:
    """How many windows were published."""
    ledger = home / "report_demo" / "windows" / "tpch_orders" / "ledger.db"
    with closing(sqlite3.connect(ledger)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM committed").fetchone()
        return int(count)


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = flows("report", "demo", "--port", port, cwd=tmp_path)
    failed(done, 2, f"cannot listen on 127.0.0.1:{port}", "set --port to another")
    assert not (tmp_path / ".flows").exists()
