"""Runs reports in BigQuery. Values are bound as query parameters; rows, bytes and time are limited.

`query_and_wait` takes one request for the statement and its first rows; submitting a job and fetching its result takes
three. When its timeout expires, the client cancels the job.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as WaitTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter
from google.cloud.bigquery.table import RowIterator

from flows_platform.columns.batches import arrow_schema
from flows_platform.declared import Fault
from flows_platform.domain.errors import PlatformError, WarehouseError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import ReportParameter, examples_of
from flows_platform.reports.runner import NoTable, NotComputable, Rows, TooManyBytes, TooManyRows, TooSlow
from flows_platform.reports.values import KINDS, Value
from flows_platform.warehouse.errors import reason_of, said_of_values, verdict, warehouse_errors
from flows_platform.warehouse.jobs import ONCE
from flows_platform.warehouse.replace_window import label as as_label
from flows_platform.warehouse.schema import BIGQUERY_TYPES

# Seconds beyond the report's own limit, for the answer to arrive: a busy warehouse reports a time-out late.
MARGIN = 30.0
DRY_RUN_SECONDS = 20.0
CANCEL_SECONDS = 10.0
ASKED = "asked"  # the key of the label by which a query's jobs are found
LISTED = 200  # jobs among which they are looked for
PAGE = 20_000  # rows of one response
# Reasons that BigQuery gives.
BILLED, STOPPED, INVALID = "bytesBilledLimitExceeded", "stopped", "invalidQuery"
EXCEEDED = frozenset({"resourcesExceeded", "responseTooLarge"})
# A dry run has other names for some types than the metadata of a table.
SAME_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class ReportEngine:
    """Runs reports over the tables of one dataset. Threads may share it, as its client's HTTP session allows."""

    client: bigquery.Client
    dataset: str
    location: str
    clock: Callable[[], float] = time.monotonic

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "") -> Rows:
        """Run a report; see `ReportRunner.run`."""
        began = self.clock()
        doing = f"running the report {report.name}"
        with warehouse_errors(doing), _tables_exist(doing):
            try:
                found = self._sent(report, values, label, doing)
                rows = _arrow(found, doing)
            except WaitTimeout:
                raise _too_slow(report, doing) from None
            except GoogleAPICallError as error:
                if of_request := self._of_request(report, error, doing):
                    raise of_request from error
                raise
        milliseconds = (self.clock() - began) * 1000
        return Rows(_declared(report, rows), milliseconds, found.total_bytes_processed or 0)

    def _sent(self, report: ReportDeclaration, values: Mapping[str, Value], label: str, doing: str) -> RowIterator:
        limit = report.limits
        config = self._config(report, values)
        config.maximum_bytes_billed = limit.bytes_billed
        config.labels = {**config.labels, **({ASKED: label} if label else {})}
        config.job_timeout_ms = limit.seconds * 1000
        iterator = self.client.query_and_wait(
            report.sql or "",
            job_config=config,
            location=self.location,
            api_timeout=limit.seconds + MARGIN,
            wait_timeout=limit.seconds,
            retry=ONCE,
            job_retry=ONCE,
            page_size=PAGE,
        )
        # guard: an answer is never cut
        if (iterator.total_rows or 0) > limit.rows:
            raise TooManyRows(
                f"{doing}: the answer has {iterator.total_rows:,} rows, and `limits.rows` allows {limit.rows:,}.",
                remedy="Ask for a shorter range, or for fewer values.",
            )
        # guard: an answer has the declared columns
        if faults := _differences(report, iterator.schema):
            raise _not_declared(report, faults[0].why)
        return iterator

    def _of_request(self, report: ReportDeclaration, error: GoogleAPICallError, doing: str) -> PlatformError | None:
        """The error for the client, if the request caused it and not the statement or the warehouse; else None."""
        reason, message = reason_of(error), str(error.message)
        if reason == BILLED:
            return _billed(report, doing, message)
        if reason == STOPPED and "timed out" in message:  # otherwise someone cancelled it
            return _too_slow(report, doing)
        if reason in EXCEEDED:
            return NotComputable(f"{doing}: {message}", "the query needs more than the warehouse gives one")
        # guard: a wrong statement is the server's fault
        if reason == INVALID and verdict(reason, message).kind is WarehouseError and self._runs_for_examples(report):
            return NotComputable(f"{doing}: {message}", said_of_values(error))
        return None

    def _runs_for_examples(self, report: ReportDeclaration) -> bool:
        """Whether a dry run accepts the statement; if so, it failed because of values or rows."""
        try:
            return not self.column_faults(report)
        except PlatformError:
            return False

    def _config(self, report: ReportDeclaration, values: Mapping[str, Value]) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(
            default_dataset=bigquery.DatasetReference(self.client.project, self.dataset),
            query_parameters=[_bound(one, values[one.name]) for one in report.parameters],
            labels={"report": as_label(report.name)},
            use_query_cache=True,
        )

    def cancel(self, label: str) -> bool:
        """Cancel a query; see `ReportRunner.cancel`. The id of its job is not known before it ends."""
        with warehouse_errors("cancelling a query that nobody waits for"):
            listed = [
                job
                for state in ("running", "pending")
                for job in self.client.list_jobs(
                    max_results=LISTED, state_filter=state, retry=ONCE, timeout=CANCEL_SECONDS
                )
            ]
            found = [job for job in listed if job.labels.get(ASKED) == label]
            for job in found:
                job.cancel(retry=ONCE, timeout=CANCEL_SECONDS)
        return bool(found)

    def column_faults(self, report: ReportDeclaration) -> list[Fault]:
        """Compare the declared columns with those of the statement's result, by a dry run.

        Returns:
            The differences; an empty list if there are none.

        Raises:
            NoTable: a table does not exist yet.
            PlatformError: the statement cannot run, for example because a column does not exist.
        """
        doing = f"checking the report {report.name}"
        config = self._config(report, examples_of(report.parameters))
        config.dry_run = True
        with warehouse_errors(doing), _tables_exist(doing):
            job = self.client.query(
                report.sql or "",
                job_config=config,
                location=self.location,
                retry=ONCE,
                job_retry=None,
                timeout=DRY_RUN_SECONDS,
            )
        return _differences(report, job.schema or ())


@contextmanager
def _tables_exist(doing: str) -> Iterator[None]:
    """Turn a missing table into a `NoTable`: its first window will create it."""
    try:
        yield
    except NotFound as error:
        raise NoTable(f"{doing}: {error.message}.", remedy="The first window of a table makes it.") from error


def _differences(report: ReportDeclaration, fields: Sequence[bigquery.SchemaField]) -> list[Fault]:
    found = [(field.name, SAME_TYPES.get(field.field_type, field.field_type)) for field in fields]
    wanted = [(column.name, BIGQUERY_TYPES[column.type]) for column in report.columns]
    if found == wanted:
        return []
    index = next((index for index, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(found))
    at = ("columns", index) if index < len(wanted) else ("columns",)
    written, declared = (", ".join(f"{name} {kind}" for name, kind in columns) for columns in (found, wanted))
    return [Fault(at, f"the statement gives {written}; declared are {declared}")]


def _bound(parameter: ReportParameter, value: Value) -> ScalarQueryParameter | ArrayQueryParameter:
    kind = KINDS[parameter.type].bigquery
    if isinstance(value, tuple):
        return ArrayQueryParameter(parameter.name, kind, list(value))
    return ScalarQueryParameter(parameter.name, kind, value)


def _declared(report: ReportDeclaration, found: pa.Table) -> pa.Table:
    """The rows in the declared types.

    Raises:
        NotComputable: a value cannot be converted exactly, or is not finite, which JSON cannot express.
        WarehouseError: a type cannot be converted to the declared one.
    """
    for column in found.columns:
        # guard: numbers of an answer are finite
        if pa.types.is_floating(column.type) and pc.any(pc.invert(pc.is_finite(column))).as_py():
            raise NotComputable(
                f"the report {report.name}: a number is infinite or not a number; use SAFE_DIVIDE, or IS_NAN.",
                "a number is infinite or not a number",
            )
    try:
        return found.cast(arrow_schema(report.schema_of_rows)).combine_chunks()
    except pa.ArrowNotImplementedError as error:
        raise _not_declared(report, str(error)) from error
    except ValueError as error:  # Arrow's errors of values are some of these
        raise NotComputable(f"the report {report.name}: {error}", "a value does not fit its column") from error


def _arrow(found: RowIterator, doing: str) -> pa.Table:
    """The rows.

    Raises:
        NotComputable: a date or time is out of range: the emulator computes years beyond 9999.
    """
    try:
        return found.to_arrow(create_bqstorage_client=False)
    except requests.RequestException:  # some are ValueErrors
        raise
    except (ValueError, OverflowError) as error:
        raise NotComputable(f"{doing}: {error}", "a date or time is out of range") from error


def _not_declared(report: ReportDeclaration, why: str) -> WarehouseError:
    return WarehouseError(
        f"the report {report.name} does not give its declared columns: {why}.", remedy="Correct `columns`."
    )


def _too_slow(report: ReportDeclaration, doing: str) -> TooSlow:
    return TooSlow(
        f"{doing}: it took longer than {report.limits.seconds} s and was cancelled.", remedy="Ask for a shorter range."
    )


def _billed(report: ReportDeclaration, doing: str, message: str) -> TooManyBytes:
    numbers: list[Any] = [word for word in message.replace(".", " ").split() if word.isdecimal()]
    needed = f"{int(numbers[-1]):,}" if len(numbers) > 1 else "more"
    return TooManyBytes(
        f"{doing}: {needed} bytes would be billed, and `limits.bytes_billed` allows {report.limits.bytes_billed:,}.",
        remedy="Ask for a shorter range.",
    )
