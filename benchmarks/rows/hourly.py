"""A report over the hourly table beside the same query over the flows that the table was computed from."""

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud import bigquery
from pyarrow import csv

from benchmarks.contest import Contender, Goal, Row, Trial
from benchmarks.data import DataSet
from benchmarks.rows.files import data_of, scratch
from benchmarks.sizes import Sizes
from flows_platform.columns.batches import arrow_schema
from flows_platform.local.emulator import Emulator, running
from flows_platform.settings import EMULATOR_PROJECT
from flows_platform.sources.lanl_flows.schema import EVENT_TIME, FLOWS, FLOWS_TABLE, TRAFFIC, TRAFFIC_TABLE
from flows_platform.sources.lanl_flows.traffic import HOURLY_TRAFFIC
from flows_platform.warehouse.schema import target_table
from flows_platform.warehouse.warehouse import emulator_client

DATASET = "hourly"
BLOCK = 256 << 20  # bytes of a clean file that are loaded at a time
BUSIEST = "SELECT computer, SUM(CAST(bytes AS NUMERIC)) AS total FROM ({}) GROUP BY 1 ORDER BY total DESC, 1 LIMIT 10"
ENDS = (
    "SELECT src_comp AS computer, byte_count AS bytes FROM flows WHERE event_time >= @start AND event_time < @end "
    "UNION ALL SELECT dst_comp, byte_count FROM flows "
    "WHERE event_time >= @start AND event_time < @end AND src_comp <> dst_comp"
)
HOURS = "SELECT computer, bytes FROM flow_traffic_hourly WHERE hour >= @start AND hour < @end"


@dataclass(slots=True)
class Query:
    """A statement over the whole period, and the digest of its last answer."""

    client: bigquery.Client
    sql: str
    rows: int
    digest: str = field(default="", init=False)

    def trial(self) -> Trial:
        began = time.perf_counter()
        found = self.client.query_and_wait(self.sql, job_config=over_all(use_query_cache=False))
        rows = [tuple(row.values()) for row in found]
        seconds = time.perf_counter() - began
        self.digest = sha256(repr(rows).encode()).hexdigest()
        return Trial(self.rows, seconds)


def over_all(**options: object) -> bigquery.QueryJobConfig:
    """The configuration of a query over every flow."""
    bounds = {"start": FLOWS.epoch, "end": datetime(2100, 1, 1, tzinfo=UTC)}
    values = [bigquery.ScalarQueryParameter(name, "TIMESTAMP", bound) for name, bound in bounds.items()]
    dataset = bigquery.DatasetReference(EMULATOR_PROJECT, DATASET)
    return bigquery.QueryJobConfig(default_dataset=dataset, query_parameters=values, **options)


def load(client: bigquery.Client, data: DataSet) -> None:
    """Put the flows into the warehouse, and compute their hours by the platform's own query."""
    client.create_dataset(DATASET)
    for table in (FLOWS_TABLE, TRAFFIC_TABLE):
        reference = bigquery.TableReference.from_string(f"{EMULATOR_PROJECT}.{DATASET}.{table.name}")
        client.create_table(target_table(reference, table))
    config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET, write_disposition="WRITE_APPEND")
    for file in flows(data.clean):
        client.load_table_from_file(io.BytesIO(file), f"{DATASET}.{FLOWS.name}", job_config=config).result()
    names = ", ".join(TRAFFIC.names)
    insert = f"INSERT INTO {TRAFFIC.name} ({names}) SELECT {names} FROM ({HOURLY_TRAFFIC.select})"
    client.query_and_wait(insert, job_config=over_all())


def flows(clean: Path) -> Iterator[bytes]:
    """A clean file with its event times, as Parquet files of some million rows."""
    schema = arrow_schema(FLOWS)
    types = csv.ConvertOptions(column_types=dict(zip(schema.names, schema.types, strict=True)))
    names = csv.ReadOptions(column_names=list(FLOWS.names), block_size=BLOCK)
    for batch in csv.open_csv(clean, names, convert_options=types):
        seconds = pc.add(batch["time"], int(FLOWS.epoch.timestamp()))
        times = pc.multiply(seconds, 1_000_000).cast(pa.timestamp("us", "UTC"))
        target = io.BytesIO()
        pq.write_table(pa.Table.from_batches([batch.append_column(EVENT_TIME.name, times)]), target)
        yield target.getvalue()


@contextmanager
def busiest(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The ten busiest computers of the whole period."""
    data = data_of(sizes, sizes.reported)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(sizes))
        emulator = stack.enter_context(running(Emulator.at(folder / "emulator")))
        client = emulator_client(emulator.url, EMULATOR_PROJECT, "US", emulator.key_file)
        stack.callback(client.close)
        load(client, data)
        ways = {"flows": ENDS, "hourly table": HOURS}
        queries = {name: Query(client, BUSIEST.format(sql), data.rows) for name, sql in ways.items()}
        yield [Contender(name, one.trial, partial(getattr, one, "digest")) for name, one in queries.items()]


ROWS = (
    Row(
        "reports-hourly",
        (Goal("report over the hourly table", "hourly table", "flows", at_least=10),),
        busiest,
        rounds=3,
    ),
)
