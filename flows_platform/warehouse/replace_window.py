"""One attempt to replace a window: load a staging table, compare counts, one MERGE. Safe because of this order."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from google.cloud import bigquery
from google.cloud.bigquery import ScalarQueryParameter

from flows_platform.domain.errors import WarehouseError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.runtime.locks import exclusive
from flows_platform.warehouse.jobs import Jobs, Parameters
from flows_platform.warehouse.schema import schema_field
from flows_platform.warehouse.sql import count, in_window, merge, replacement
from flows_platform.warehouse.tables import Staging
from flows_platform.window_files.check import CheckedFile

LOCK_PAUSE = 0.05  # seconds between two attempts to take a window's lock


@dataclass(frozen=True, slots=True)
class Publication:
    """A window of a table, and the checked file whose rows it shall have; it has no column for the event time.

    The file's digest and `run` (the run's id) go into the jobs' labels.
    """

    table: WarehouseTable
    window: Window
    file: CheckedFile
    run: str

    @property
    def labels(self) -> dict[str, str]:
        return {"window": label(self.window.key), "content": label(self.file.sha256), "run": label(self.run)}

    @property
    def doing(self) -> str:
        return f"replacing the window {self.window.key} of {self.table.name}"


@dataclass(frozen=True, slots=True)
class Published:
    """What a replacement did: rows inserted and deleted, and the ids of its jobs.

    `load_job` is empty for an empty window. If the table had no rows of it either, `merge_job` is the job that counted
    them.
    """

    inserted: int
    deleted: int
    load_job: str
    merge_job: str


def bounds_of(window: Window | None) -> Parameters:
    """The parameters `@start` and `@end`."""
    if window is None:
        return ()
    return (
        ScalarQueryParameter("start", "TIMESTAMP", window.start),
        ScalarQueryParameter("end", "TIMESTAMP", window.end),
    )


def publish(publication: Publication, jobs: Jobs, staging: Staging, locks: Path) -> Published:
    """Load the file into a staging table and merge it. Every attempt has its own staging table.

    An empty window runs the same statement from an empty staging table, which deletes its old rows. If a count finds
    no old rows, nothing else runs: half of a feed's windows may be empty, and a MERGE takes seconds.
    """
    change = WindowChange(publication.table, publication.window, publication.labels, publication.doing)
    if not publication.file.rows and (counted := change.found_empty(jobs, locks)):
        return Published(0, 0, "", counted)
    with staging.table(publication.table) as staging_table:
        load_job = load(publication, jobs, staging_table) if publication.file.rows else ""
        job = change.run(merge(publication.table, staging_table), jobs, locks)
    stats, rows = job.dml_stats, publication.file.rows
    # guard: inserted rows are the loaded rows
    if stats is None or stats.inserted_row_count != rows:
        raise WarehouseError(f"{publication.doing}: {rows:,} rows loaded, but the job reports {stats}.")
    return Published(rows, stats.deleted_row_count, load_job, str(job.job_id))


def load(publication: Publication, jobs: Jobs, staging_table: str) -> str:
    """Load the file into the staging table and return the job's id.

    Raises:
        WarehouseError: the job loaded another number of rows.
    """
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
        schema=[schema_field(column) for column in publication.table.schema.columns],
        labels=publication.labels,
    )
    # Every attempt has a new staging table, so the job's id is new too.
    job = jobs.load(publication.file.location, staging_table, f"load_{staging_table}", config)
    # guard: loaded rows are the verified rows
    if job.output_rows != publication.file.rows:
        raise WarehouseError(
            f"{publication.doing}: {publication.file.rows:,} rows were verified, but the load counted "
            f"{job.output_rows:,}; the table is unchanged.",
            remedy="Fetch the window again.",
        )
    return str(job.job_id)


@dataclass(frozen=True, slots=True)
class WindowChange:
    """Runs statements on one window of a table. Only one statement on the window runs at a time."""

    table: WarehouseTable
    window: Window
    labels: dict[str, str]
    doing: str

    def run(self, sql: str, jobs: Jobs, locks: Path) -> bigquery.QueryJob:
        """Run `sql` with the window's bounds as `@start` and `@end`."""
        dataset, start, end = jobs.dataset.dataset_id, self.window.start, self.window.end
        chain = f"{dataset}__{self.table.name}__{start:%Y%m%dT%H%M%S}__{end:%Y%m%dT%H%M%S}"
        config = bigquery.QueryJobConfig(
            default_dataset=jobs.dataset, query_parameters=list(bounds_of(self.window)), labels=self.labels
        )
        # On BigQuery the chain is enough. On the emulator a job whose id is sent twice in the same millisecond fails or
        # stays pending for ever, hence the lock. Publishers on other machines never wait for it.
        # guard: publishers on one machine take turns
        with exclusive(locks / f"{chain}.lock", lambda: jobs.deadline.of(LOCK_PAUSE, self.doing)):
            # The random comment distinguishes this statement from an earlier one with the same text.
            return jobs.run_in_chain(chain, f"{sql}\n-- {secrets.token_hex(8)}", config, self.doing)

    def found_empty(self, jobs: Jobs, locks: Path) -> str:
        """The id of the job that counted the window's rows, or "" if there are any.

        The count waits for its turn like any change, so no earlier publisher can still insert rows after it.
        """
        job = self.run(count(self.table, in_window(self.table)), jobs, locks)
        (row,) = jobs.rows(job, self.doing)
        # guard: a window with rows is not empty
        return "" if row["row_count"] else str(job.job_id)


def label(text: str) -> str:
    """`text` as a valid job label: at most 63 lower case letters, digits and `-`."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text.lower())[:63]


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table and the query for its rows in the window `[@start, @end)`; columns match by name."""

    table: WarehouseTable
    select: str


def recompute(derived: DerivedTable, window: Window, run: str, jobs: Jobs, locks: Path) -> Published:
    """Replace the window with the query's current rows, in one statement.

    Raises:
        WarehouseError: the job does not report what it did.
    """
    doing = f"recomputing the window {window.key} of {derived.table.name}"
    change = WindowChange(derived.table, window, {"window": label(window.key), "run": label(run)}, doing)
    job = change.run(replacement(derived.table, derived.select), jobs, locks)
    if job.dml_stats is None:
        raise WarehouseError(f"{doing}: the job does not report what it did.")
    return Published(job.dml_stats.inserted_row_count, job.dml_stats.deleted_row_count, "", str(job.job_id))
