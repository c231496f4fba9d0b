"""One attempt at replacing a window: stage, compare counts, one MERGE. The order is the whole of its safety."""

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

LOCK_PAUSE = 0.05  # seconds between two looks at the lock of a window that another process changes


@dataclass(frozen=True, slots=True)
class Publication:
    """What shall be published.

    `parquet` holds the schema's columns without the event time, `rows` of them as verified at the source. `content`
    (the file's digest) and `run` (the run's id) go into the jobs' labels.
    """

    table: WarehouseTable
    window: Window
    parquet: Path
    rows: int
    content: str
    run: str

    @property
    def labels(self) -> dict[str, str]:
        return {"window": label(self.window.key), "content": label(self.content), "run": label(self.run)}

    @property
    def doing(self) -> str:
        return f"replacing the window {self.window.key} of {self.table.name}"


@dataclass(frozen=True, slots=True)
class Published:
    """What a replacement did: rows that came and went, and the jobs.

    `load_job` is empty for an empty window; where the table had no rows of it either, `merge_job` is their count's.
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
    """Stages the file and merges it. A new staging table each time, so no attempt sees another's.

    An empty window runs the same statement from an empty staging table, so that its old rows go; where the table has
    none, their count is all that runs. Half of a feed's windows may be empty, and each MERGE is a job of seconds.
    """
    change = WindowChange(publication.table, publication.window, publication.labels, publication.doing)
    if not publication.rows and (counted := change.found_empty(jobs, locks)):
        return Published(0, 0, "", counted)
    with staging.table(publication.table) as staged:
        load_job = load(publication, jobs, staged) if publication.rows else ""
        job = change.run(merge(publication.table, staged), jobs, locks)
    stats = job.dml_stats
    # guard: inserted rows are the staged rows
    if stats is None or stats.inserted_row_count != publication.rows:
        raise WarehouseError(f"{publication.doing}: {publication.rows:,} rows staged, but the job reports {stats}.")
    return Published(publication.rows, stats.deleted_row_count, load_job, str(job.job_id))


def load(publication: Publication, jobs: Jobs, staged: str) -> str:
    """Loads the file into the staging table and gives the job's id; raises unless every row arrived."""
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
        schema=[schema_field(column) for column in publication.table.schema.columns],
        labels=publication.labels,
    )
    # The staging table's name is new with each attempt, and so is the job's id.
    job = jobs.load(publication.parquet, staged, f"load_{staged}", config)
    # guard: staged rows are the verified rows
    if job.output_rows != publication.rows:
        raise WarehouseError(
            f"{publication.doing}: {publication.rows:,} rows were verified, but the load counted {job.output_rows:,}; "
            "the table is unchanged.",
            remedy="Fetch the window again.",
        )
    return str(job.job_id)


@dataclass(frozen=True, slots=True)
class WindowChange:
    """Statements on one window of a table, each of which waits for its turn among all others on that window."""

    table: WarehouseTable
    window: Window
    labels: dict[str, str]
    doing: str

    def run(self, sql: str, jobs: Jobs, locks: Path) -> bigquery.QueryJob:
        """Runs `sql` with the window's bounds as `@start` and `@end`."""
        dataset, start, end = jobs.dataset.dataset_id, self.window.start, self.window.end
        chain = f"{dataset}__{self.table.name}__{start:%Y%m%dT%H%M%S}__{end:%Y%m%dT%H%M%S}"
        config = bigquery.QueryJobConfig(
            default_dataset=jobs.dataset, query_parameters=list(bounds_of(self.window)), labels=self.labels
        )
        # The chain alone keeps publishers apart on BigQuery. The emulator breaks a job whose id is sent twice in the
        # same millisecond: it fails, or stays pending for ever. Hence a lock beside it; publishers elsewhere never
        # wait for it.
        # guard: publishers on one machine take turns
        with exclusive(locks / f"{chain}.lock", lambda: jobs.deadline.of(LOCK_PAUSE, self.doing)):
            # The mark makes it unlike an earlier one of the same text, which would be taken for it.
            return jobs.run_in_chain(chain, f"{sql}\n-- {secrets.token_hex(8)}", config, self.doing)

    def found_empty(self, jobs: Jobs, locks: Path) -> str:
        """The id of the job that counted the window's rows and found none; empty where it found some.

        The count takes a turn like any change: no publisher's rows of before can come after it.
        """
        job = self.run(count(self.table, in_window(self.table)), jobs, locks)
        (row,) = jobs.rows(job, self.doing)
        # guard: a count that found rows is no empty window
        return "" if row["row_count"] else str(job.job_id)


def label(text: str) -> str:
    """`text` as a job label may be: lower case letters, digits, `_` and `-`, 63 at most."""
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in text.lower())[:63]


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
