"""Generates TPC-H's orders with DuckDB's extension: one JSON document for every month, with the count of its orders."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flows_platform.domain.errors import StorageError
from flows_platform.domain.progress import Progress, silent
from flows_platform.local.emulator import install_extensions
from flows_platform.runtime.imports import EMULATOR, required
from flows_platform.sources.tpch_orders.layout import (
    MONTHS,
    Generated,
    month_file,
    read_generated,
    write_generated,
)

if TYPE_CHECKING:
    import duckdb

EXTENSION = "tpch"
CHUNK = 10_000  # rows that are Python objects at once
MEMORY = "1GB"  # DuckDB writes what exceeds it to the disk
TEXTS = ("o_totalprice", "o_orderdate")  # written as texts: a float would not hold every price
COLUMNS = (
    *("o_orderkey", "o_custkey", "o_orderstatus", "o_totalprice", "o_orderdate"),
    *("o_orderpriority", "o_clerk", "o_shippriority", "o_comment"),
)
_VALUES = ", ".join(f"CAST({name} AS VARCHAR)" if name in TEXTS else name for name in COLUMNS)
ORDERS = f"SELECT strftime(o_orderdate, '%Y-%m'), {_VALUES} FROM orders ORDER BY o_orderdate, o_orderkey"

type Row = tuple[Any, ...]


def generate(folder: Path, scale: float, progress: Progress = silent) -> Generated:
    """Write the files of all months, unless they hold the orders of this scale already; progress in orders.

    Args:
        folder: Where the files are.
        scale: TPC-H's scale factor: 0.01 gives 15,000 orders, 1 gives 1,500,000.
        progress: Called for every month.

    Raises:
        ConfigurationError: DuckDB or its extension is not installed.
        StorageError: a file cannot be written.
    """
    held = read_generated(folder)
    if held and held.scale == scale:
        return held
    with _writing(folder), _beside(folder) as temporary:
        made = temporary / folder.name
        made.mkdir()
        with connected(temporary / "tpch.duckdb") as connection:
            connection.execute(f"CALL dbgen(sf = {scale!r})")
            (total,) = connection.execute("SELECT count(*) FROM orders").fetchone() or (0,)
            generated = Generated(scale, _write_months(made, _rows(connection), total, progress))
        os.sync()  # once, before the record says that they are complete: 80 files one by one take seconds
        write_generated(made, generated)
        _replace(folder, made)
    return generated


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        yield Path(temporary)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with required(EMULATOR):
        import duckdb  # noqa: PLC0415 - only the generator needs it
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise StorageError(
            f"the orders in {folder} cannot be written: {error}.", remedy="Free space, or correct the permissions."
        ) from error


def _replace(folder: Path, made: Path) -> None:
    """Put the new files where the old ones were; files of two scales are never in one folder."""
    if folder.exists():
        folder.rename(made.with_name("old"))  # removed with the temporary folder
    made.rename(folder)


def connected(database: Path) -> "duckdb.DuckDBPyConnection":
    """A connection to a DuckDB database that can generate TPC-H.

    Raises:
        ConfigurationError: DuckDB or its extension is not installed.
    """
    with required(EMULATOR):
        import duckdb  # noqa: PLC0415 - only the generator needs it
    install_extensions((EXTENSION,))
    connection = duckdb.connect(str(database))
    connection.execute(f"LOAD {EXTENSION}")
    connection.execute(f"SET memory_limit = '{MEMORY}'")
    return connection


def _rows(connection: "duckdb.DuckDBPyConnection") -> Iterator[Row]:
    found = connection.execute(ORDERS)
    while rows := found.fetchmany(CHUNK):
        yield from rows


def _write_months(folder: Path, rows: Iterable[Row], total: int, progress: Progress) -> int:
    """Write a file for every month, also for one without orders; returns the number of orders."""
    done, missing = 0, set(MONTHS)
    for month, found in groupby(rows, key=itemgetter(0)):
        orders = (dict(zip(COLUMNS, row[1:], strict=True)) for row in found)
        done += _write_month(month_file(folder, month), month, orders)
        missing.discard(month)
        progress(done, total)
    for month in sorted(missing):
        _write_month(month_file(folder, month), month, ())
    return done


def _write_month(path: Path, month: str, orders: Iterable[dict[str, Any]]) -> int:
    """Write the document of a month and return its number of orders, which is at the document's end."""
    count, before = 0, "\n"
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"month":{json.dumps(month)},"orders":[')
        for order in orders:
            file.write(before + json.dumps(order))
            count, before = count + 1, ",\n"
        file.write(f'\n],"count":{count}}}\n')
    return count
