"""The check that protects the table: a window file is the one that was fetched, and its rows belong to the window."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import arrow_schema, bounds_in
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.window_files.parquet import OpenFile


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A window file that may be published; `check_window_file` makes it."""

    location: Path
    sha256: str
    rows: int


def check_window_file(table: WarehouseTable, window: Window, file: OpenFile, rows: int) -> CheckedFile:
    """Refuse a file that would spoil the table: replacing the window would not remove a row outside the window.

    Reads the time column alone, a batch at a time.

    Raises:
        InputError: the file is not Parquet, has other columns, not `rows` rows, or rows outside the window.
    """
    _check_columns(table, file)
    # guard: rows of a window file
    if file.footer.rows != rows:
        raise InputError(
            f"{file.path} holds {file.footer.rows:,} rows, but {rows:,} were verified.",
            remedy="Fetch the window again.",
        )
    _check_times(table, window, file)
    return CheckedFile(file.path, file.sha256, rows)


def _check_columns(table: WarehouseTable, file: OpenFile) -> None:
    found, declared = file.columns, arrow_schema(table.schema)
    # guard: columns of a window file
    if not found.equals(declared, check_metadata=False):
        columns = "; ".join(str(column) for column in found if column not in list(declared)) or "another order"
        raise InputError(
            f"{file.path} does not have the columns of {table.name}: {columns}.", remedy="Fetch the window again."
        )


def _check_times(table: WarehouseTable, window: Window, file: OpenFile) -> None:
    first, end = bounds_in(table.schema, window)
    for batch in file.batches(columns=[table.schema.time]):
        extremes: pa.StructScalar = pc.min_max(batch.column(0))
        for time in extremes.as_py().values() if batch.num_rows else ():
            # guard: times of a window file
            if not first <= time < end:
                raise InputError(
                    f"{file.path} holds {table.schema.time} {time}, outside the window {window.key} "
                    f"(from {first}, before {end}).",
                    remedy="Fetch the window again; the source must honour its time bounds.",
                )
