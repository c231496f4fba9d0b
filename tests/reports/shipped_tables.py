"""Raw rows of every shipped source, in DuckDB and as tables of the warehouse: answers are computed from both."""

import io
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from flows_platform.components.report import declared_reports
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.local.emulator import Emulator
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.schema import FLOWS, TRAFFIC_TABLE
from flows_platform.sources.lanl_flows.traffic import HOURLY_TRAFFIC
from flows_platform.sources.tpch_orders.generate import connected
from flows_platform.warehouse.schema import target_table
from flows_platform.warehouse.warehouse import Warehouse, emulator_client

FLOW_ROWS, DAYS, CVES = 6_000, 4, 400
FLOW_FIELDS = ", ".join(f"'{name}': '{kind}'" for name, kind in (
    ("time", "BIGINT"), ("duration", "BIGINT"), ("src_comp", "VARCHAR"), ("src_port", "VARCHAR"),
    ("dst_comp", "VARCHAR"), ("dst_port", "VARCHAR"), ("protocol", "BIGINT"), ("packet_count", "BIGINT"),
    ("byte_count", "BIGINT"),
))  # fmt: skip
FIRST_CVE = datetime(2021, 1, 1, tzinfo=UTC)


def shipped() -> tuple[dict[str, ReportDeclaration], dict[str, WarehouseTable]]:
    """The shipped reports and tables, by their names."""
    found = declared_reports(Settings())
    assert found.faults == []
    return {report.name: report for report in found.reports}, dict(found.tables)


def raw_rows(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with `flows` and `orders` as their generators make them, and `cves` with several rows for some CVEs."""
    generate(folder / "flows.txt", rows=FLOW_ROWS, days=DAYS)
    connection = connected(folder / "raw.duckdb")
    connection.execute("CALL dbgen(sf = 0.01)")
    connection.execute(
        f"CREATE TABLE flows AS SELECT *, CAST('{FLOWS.epoch:%Y-%m-%d}' AS TIMESTAMP) + to_seconds(time) AS instant "
        f"FROM read_csv('{folder}/flows.txt', header = false, columns = {{{FLOW_FIELDS}}})"
    )
    connection.execute(
        "CREATE TABLE cves (cve_id VARCHAR, last_modified TIMESTAMP, published TIMESTAMP, source VARCHAR, "
        "status VARCHAR, cvss_score DOUBLE)"
    )
    connection.executemany("INSERT INTO cves VALUES (?, ?, ?, ?, ?, ?)", [*_cves(Random(7))])
    return connection


def _cves(random: Random) -> Iterator[tuple[Any, ...]]:
    for number in range(CVES):
        published = FIRST_CVE.replace(tzinfo=None) + timedelta(hours=random.randrange(3 * 365 * 24))
        for change in range(random.choice((1, 1, 2, 5))):
            score = random.choice((None, 0.0, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 9.8, 10.0))
            modified = published + timedelta(days=40 * change, seconds=number)
            yield (f"CVE-2021-{number:04}", modified, published, f"source {number % 3}", "Analyzed", score)


@contextmanager
def warehouse_of(raw: duckdb.DuckDBPyConnection, emulator: Emulator, locks: Path) -> Iterator[Warehouse]:
    """A dataset with the tables that the sources would fill from these rows."""
    tables, dataset = shipped()[1], f"shipped_{uuid4().hex}"
    with closing(emulator_client(emulator.url, "local", "US", emulator.key_file)) as client:
        client.create_dataset(dataset)
        for name, sql in {
            "flows": "SELECT row_number() OVER () AS id, * RENAME (instant AS event_time) FROM flows",
            "tpch_orders": "SELECT * REPLACE (CAST(o_orderdate AS TIMESTAMP) AS o_orderdate) FROM orders",
            "nvd_cves": "SELECT *, '{}' AS document, NULL AS extra_fields FROM cves",
        }.items():
            _load(client, f"local.{dataset}.{name}", tables[name], raw.execute(sql).to_arrow_table())
        warehouse = Warehouse(client, dataset, "US", locks)
        warehouse.ensure_table(TRAFFIC_TABLE)
        warehouse.recompute_window(HOURLY_TRAFFIC, Window(FLOWS.epoch, FLOWS.epoch + timedelta(days=DAYS)), "run")
        yield warehouse


def _load(client: bigquery.Client, name: str, table: WarehouseTable, rows: pa.Table) -> None:
    target = client.create_table(target_table(bigquery.TableReference.from_string(name), table))
    zoned = rows.cast(pa.schema([_in_utc(field) for field in rows.schema]))
    file = io.BytesIO()
    pq.write_table(zoned.select(table_columns(table)), file)
    file.seek(0)
    config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET, write_disposition="WRITE_APPEND")
    client.load_table_from_file(file, target, job_config=config).result()


def table_columns(table: WarehouseTable) -> Sequence[str]:
    """The columns' names, in order."""
    return [column.name for column in table.columns]


def _in_utc(field: pa.Field) -> pa.Field:
    return field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
