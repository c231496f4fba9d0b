"""Made-up flows, three-hour windows and Parquet files of them."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import Digested, Value
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.sources.lanl_flows.schema import FLOWS

type Row = tuple[Digested, ...]

GRID = WindowGrid(FLOWS.epoch, timedelta(hours=3))


def window(number: int) -> Window:
    """The three-hour window of that number since the epoch."""
    return GRID.nth(number)


def flow(number: int, time: int, **changed: Value) -> Row:
    """A flow with an id and a time."""
    values: dict[str, Value] = {
        "id": number,
        "time": time,
        "duration": 9,
        "src_comp": f"C{number % 7}",
        "src_port": "N1",
        "dst_comp": "C2",
        "dst_port": "443",
        "protocol": 6,
        "packet_count": 10,
        "byte_count": 2_681_847_376,
    }
    return tuple((values | changed).values())


def write_parquet(path: Path, rows: Sequence[Row], schema: TableSchema = FLOWS) -> Path:
    """The rows as a window file."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(schema.names)}
    pq.write_table(pa.table(columns, schema=arrow_schema(schema)), path)
    return path
