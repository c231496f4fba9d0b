"""What a window's Parquet file must be before it is sent anywhere: the schema's columns, and no time outside."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import arrow_schema, bounds_in
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.window_files.parquet import batches_of, columns_of, row_count


def check_staged_file(table: WarehouseTable, window: Window, parquet: Path, rows: int) -> None:
    """Refuses a file that would spoil the table: a row outside the window would survive the window's replacement.

    Reads the time column alone, a batch at a time.

    Raises:
        InputError: the file is no Parquet, has other columns, not `rows` rows, or some outside the window.
    """
    _check_columns(table, columns_of(parquet), parquet)
    _check_rows(rows, row_count(parquet), parquet)
    _check_times(table, window, parquet)


def _check_columns(table: WarehouseTable, found: pa.Schema, parquet: Path) -> None:
    declared = arrow_schema(table.schema)
    # guard: columns of a staged file
    if not found.equals(declared, check_metadata=False):
        columns = "; ".join(str(field) for field in found if field not in list(declared)) or "another order"
        raise InputError(
            f"{parquet} does not have the columns of {table.name}: {columns}.", remedy="Fetch the window again."
        )


def _check_rows(verified: int, found: int, parquet: Path) -> None:
    # guard: rows of a staged file
    if found != verified:
        raise InputError(
            f"{parquet} holds {found:,} rows, but {verified:,} were verified.", remedy="Fetch the window again."
        )


def _check_times(table: WarehouseTable, window: Window, parquet: Path) -> None:
    first, end = bounds_in(table.schema, window)
    for batch in batches_of(parquet, columns=[table.schema.time]):
        extremes = pc.min_max(batch.column(0)).as_py()
        for time in extremes.values() if batch.num_rows else ():
            # guard: times of a staged file
            if not first <= time < end:
                raise InputError(
                    f"{parquet} holds {table.schema.time} {time}, outside the window {window.key} "
                    f"(from {first}, before {end}).",
                    remedy="Fetch the window again; the source must honour its time bounds.",
                )
