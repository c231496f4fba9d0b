"""Reports over TPC-H's orders: ours beside the guide's route and Datasette, over the same rows on the same machine."""

import io
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import urllib3
import yaml
from google.cloud import bigquery

from benchmarks import serving
from benchmarks.contest import Contender, Goal, Quantity, Row, Trial
from benchmarks.rows.files import scratch
from benchmarks.serving import Server
from benchmarks.sizes import Sizes
from flows_platform.components.catalog import table_at
from flows_platform.components.loader import REPORT
from flows_platform.components.source_files import SHIPPED
from flows_platform.domain.errors import InputError
from flows_platform.local.emulator import Emulator, running
from flows_platform.reports.versions import Versions
from flows_platform.settings import EMULATOR_PROJECT, Settings, load_settings
from flows_platform.sources.tpch_orders.generate import connected
from flows_platform.sources.tpch_orders.layout import TPCH_ORDERS
from flows_platform.warehouse.schema import target_table
from flows_platform.warehouse.warehouse import emulator_client

TOP10 = "/connector/customers/top10"
MANY = "/api/v1/reports/many_orders.arrow"
AT_ONCE = 1000
NEWEST = datetime(1998, 9, 1, tzinfo=UTC)
TOP10_SQL = (
    "SELECT o_custkey, SUM(o_totalprice) AS total FROM orders WHERE o_orderdate >= '1995-01-01' "
    "AND o_orderdate <= '1995-03-31' GROUP BY o_custkey ORDER BY total DESC LIMIT 10"
)


@dataclass(frozen=True, slots=True)
class Reports:
    """Both servers over the same orders, and what asks ours how many queries it made."""

    ours: Server
    guide: Server
    client: bigquery.Client
    orders: Path
    rows: int
    _days: Iterator[int] = field(default_factory=count)

    def other_range(self) -> str:
        """A range that no request had before: its answer is not kept."""
        day = datetime(1992, 1, 1, tzinfo=UTC) + timedelta(days=next(self._days))
        return f"{TOP10}?start_range={day:%Y-%m-%d}&end_range=1995-03-31"

    def jobs_since(self, began: datetime) -> int:
        """How many queries of reports ran."""
        jobs = self.client.list_jobs(min_creation_time=began, all_users=True)
        return sum(1 for job in jobs if "report" in (job.labels or {}))


def scale_of(sizes: Sizes) -> float:
    """TPC-H's scale: 1,500,000 orders beside 3 million flows."""
    return max(0.001, sizes.rows / 3_000_000)


@contextmanager
def opened(sizes: Sizes, times: int = 1) -> Iterator[Reports]:
    """The orders in DuckDB and in the embedded warehouse, so many times as many, and a server over each."""
    with scratch(sizes) as folder, running(Emulator.at(folder / "emulator")) as emulator:
        orders, settings = folder / "orders.duckdb", _settings(folder, emulator)
        with closing(_client(emulator)) as client:
            rows = _load(orders, settings, client, times * scale_of(sizes))
            with serving.reports(_variables(settings), folder) as ours, serving.guide(orders, folder) as guide:
                yield Reports(ours, guide, client, orders, rows)


def _settings(folder: Path, emulator: Emulator) -> Settings:
    declared = folder / "many.yaml"
    declared.write_text(yaml.safe_dump({"type": REPORT.component, "attributes": MANY_ORDERS}))
    return load_settings(
        home=folder / "home",
        sources=(TPCH_ORDERS, str(declared)),
        emulator_port=emulator.port,
        emulator_key_file=emulator.key_file,
    )


MANY_ORDERS = {
    "name": "many_orders",
    "description": "Orders.",
    "over": [TPCH_ORDERS],
    "parameters": [{"name": "rows", "type": "int64", "minimum": 1, "maximum": 100_000, "default": 100_000}],
    "sql": "SELECT o_orderkey, o_custkey, o_totalprice, o_orderdate "
    f"FROM {TPCH_ORDERS} ORDER BY o_orderkey LIMIT @rows",
    "columns": [
        {"name": "o_orderkey", "type": "int64"},
        {"name": "o_custkey", "type": "int64"},
        {"name": "o_totalprice", "type": "numeric"},
        {"name": "o_orderdate", "type": "timestamp"},
    ],
}


def _variables(settings: Settings) -> dict[str, str]:
    return {
        "FLOWS_HOME": str(settings.home),
        "FLOWS_SOURCES": ",".join(settings.sources),
        "FLOWS_EMULATOR_PORT": str(settings.emulator_port),
        "FLOWS_EMULATOR_KEY_FILE": str(settings.emulator_key),
    }


def _client(emulator: Emulator) -> bigquery.Client:
    return emulator_client(emulator.url, EMULATOR_PROJECT, "US", emulator.key_file)


def _load(orders: Path, settings: Settings, client: bigquery.Client, scale: float) -> int:
    """Generate the orders, put them into the warehouse by one job, and say that they changed; returns their number."""
    table = table_at(SHIPPED[TPCH_ORDERS], settings).table
    with connected(orders) as connection:
        connection.execute(f"CALL dbgen(sf = {scale!r})")
        rows = connection.execute("SELECT * FROM orders").to_arrow_table()
    day = rows.schema.get_field_index("o_orderdate")
    rows = rows.set_column(day, "o_orderdate", rows.column(day).cast(pa.timestamp("us", "UTC")))
    file = io.BytesIO()
    pq.write_table(rows, file)
    file.seek(0)
    client.create_dataset(settings.bigquery_dataset)
    name = f"{EMULATOR_PROJECT}.{settings.bigquery_dataset}.{table.name}"
    target = client.create_table(target_table(bigquery.TableReference.from_string(name), table))
    config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET, write_disposition="WRITE_APPEND")
    client.load_table_from_file(file, target, job_config=config).result()
    Versions(settings.versions).committed(table.name, NEWEST)
    return int(rows.num_rows)


def _same_rows(server: Server, path: str) -> str:
    """The digest of an answer's rows."""
    rows = json.loads(urllib3.request("GET", server.url + path, timeout=60.0).data)
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


@contextmanager
def kept(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The same request again and again: the guide queries every time. With 3 million flows at the guide's scale, 10."""
    few, many = max(2, sizes.rows // 100_000), max(10, sizes.rows // 1000)
    with opened(sizes, times=10) as reports:
        guide, ours = reports.guide, reports.ours
        yield [
            Contender("guide's route", partial(guide.ask, TOP10, few), partial(_same_rows, guide, TOP10)),
            Contender("ours 200, kept", partial(ours.ask, TOP10, many), partial(_same_rows, ours, TOP10)),
            Contender("ours 304", partial(ours.ask, TOP10, many, "--etag")),
        ]


@contextmanager
def datasette(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The same against Datasette, over the same orders in sqlite."""
    with opened(sizes) as reports, scratch(sizes) as folder:
        path = folder / "orders.db"
        _to_sqlite(reports.orders, path)
        with serving.datasette(path, folder) as other:
            target = f"/orders.json?_shape=array&sql={TOP10_SQL.replace(' ', '+')}"
            few, many = max(2, sizes.rows // 100_000), max(10, sizes.rows // 1000)
            yield [
                Contender("datasette", partial(other.ask, target, few)),
                Contender("ours 200, kept", partial(reports.ours.ask, TOP10, many)),
            ]


def _to_sqlite(orders: Path, target: Path) -> None:
    columns = "o_orderkey, o_custkey, CAST(o_totalprice AS DOUBLE), CAST(o_orderdate AS VARCHAR)"
    reading = duckdb.connect(str(orders), read_only=True)  # the guide's server has it open too
    with reading as connection, closing(sqlite3.connect(target)) as database, database:
        database.execute("CREATE TABLE orders (o_orderkey INTEGER PRIMARY KEY, o_custkey, o_totalprice, o_orderdate)")
        found = connection.execute(f"SELECT {columns} FROM orders")
        while rows := found.fetchmany(10_000):
            database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)


@contextmanager
def at_once(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """Equal requests side by side, whose answer is not kept: the guide makes a query of each, we make one of all."""
    requests = min(AT_ONCE, max(20, sizes.rows // 3000))
    with opened(sizes) as reports:

        def one_job() -> Trial:
            began = datetime.fromtimestamp(time.time(), UTC)
            trial = reports.ours.ask_at_once(reports.other_range(), requests)
            if (jobs := reports.jobs_since(began)) != 1:
                raise InputError(f"{requests:,} equal requests at once were {jobs} queries.")
            return trial

        def guide() -> Trial:
            return reports.guide.ask_at_once(reports.other_range(), requests)

        yield [Contender("guide's route, at once", guide), Contender("ours at once, one query", one_job)]


@contextmanager
def many_rows(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """100,000 rows, from what is kept, against pandas."""
    with opened(sizes) as reports:
        rows = min(100_000, reports.rows)
        trial: Callable[[], Trial] = partial(reports.guide.drain, f"/rows?rows={rows}", rows)
        yield [
            Contender("guide's pandas", trial),
            Contender("ours Arrow, kept", partial(reports.ours.drain, f"{MANY}?rows={rows}", rows)),
        ]


ROWS = (
    Row(
        "reports",
        (
            Goal("report, 304", "ours 304", "guide's route", at_least=100),
            Goal("report, seconds of a 304", "ours 304", quantity=Quantity.SECONDS, at_most=0.002),
            Goal("report, 200 that is kept", "ours 200, kept", "guide's route", at_least=20),
            Goal("reports, the server's memory", "ours 200, kept", quantity=Quantity.RSS, at_most=256),
        ),
        kept,
    ),
    Row(
        "reports-datasette",
        (Goal("report, 200 that is kept", "ours 200, kept", "datasette", at_least=20),),
        datasette,
        others=True,
    ),
    Row(
        "reports-at-once",
        (Goal("report, 1,000 equal requests at once", "ours at once, one query", "guide's route, at once"),),
        at_once,
    ),
    Row(
        "reports-rows",
        (Goal("report, 100,000 rows as Arrow", "ours Arrow, kept", "guide's pandas", at_least=10),),
        many_rows,
    ),
)
