"""A table that is computed in the warehouse from another's same window, and replaced as atomically."""

from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import WarehouseError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.warehouse.jobs import Jobs
from flows_platform.warehouse.replace_window import Published, WindowChange, label
from flows_platform.warehouse.sql import replacement


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table and the query that gives its rows of the window `[@start, @end)`, by the columns' names."""

    table: WarehouseTable
    select: str


def recompute(derived: DerivedTable, window: Window, run: str, jobs: Jobs, locks: Path) -> Published:
    """Replaces the window by what the query gives now, in one statement.

    Raises:
        WarehouseError: the job does not say what it did.
    """
    doing = f"recomputing the window {window.key} of {derived.table.name}"
    change = WindowChange(derived.table, window, {"window": label(window.key), "run": label(run)}, doing)
    job = change.run(replacement(derived.table, derived.select), jobs, locks)
    if job.dml_stats is None:
        raise WarehouseError(f"{doing}: the job does not report what it did.")
    return Published(job.dml_stats.inserted_row_count, job.dml_stats.deleted_row_count, "", str(job.job_id))
