"""Runs BigQuery jobs: submits each once under its own id, waits with a deadline, classifies failures.

Nothing here retries, and the client library's retries are switched off: only `Warehouse` retries.

A chain is a series of job ids `name_0`, `name_1`, …; a job is submitted only after the previous one has ended. A job
id can be used once. So only one publisher of a window runs its statement at a time, on any machine and even after
another was killed. BigQuery needs that: two MERGEs that find nothing to delete do not conflict and would both insert.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery
from google.cloud.bigquery import LoadJob, QueryJob
from google.cloud.bigquery.table import Row

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.warehouse.errors import job_failure, warehouse_errors


@dataclass(frozen=True, slots=True)
class Deadline:
    """`seconds` after its creation, by the monotonic clock."""

    seconds: float
    _began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """The seconds that are left; 0 after the deadline."""
        return max(0.0, self._began + self.seconds - time.monotonic())

    def of(self, seconds: float, doing: str) -> float:
        """The timeout of one request or wait: `seconds`, or what is left.

        Raises:
            WarehouseUnavailable: the deadline has passed.
        """
        left = self.left
        if not left:
            raise WarehouseUnavailable(
                f"{doing}: not done {self.seconds:g} s after it began.",
                remedy="Check that the warehouse answers; if windows are that large, raise FLOWS_PUBLISH_DEADLINE.",
            )
        # guard: no request outlasts the deadline of publishing
        return min(seconds, left)


NEVER = Deadline(math.inf)


# Seconds that one HTTP request may take; an upload sends at most 100 MB in one request.
REQUEST_TIMEOUT = 120.0
# Seconds between two polls of a job, at most: every window waits for a load and then a MERGE, of a few seconds each.
LONGEST_PAUSE = 0.25
# Switches the client library's retries off.
ONCE = Retry(predicate=if_exception_type())

type Parameters = Sequence[bigquery.ScalarQueryParameter]
type AnyJob = LoadJob | QueryJob | bigquery.CopyJob | bigquery.ExtractJob | bigquery.UnknownJob


def first_free(taken: Callable[[int], bool]) -> int:
    """The smallest number that is not taken, provided that all below a taken one are taken.

    Asks about 2 log2(n) times for the result n.
    """
    above = 1
    while taken(above - 1):
        above *= 2
    numbers = range(above // 2, above - 1)
    return numbers.start + bisect_left(numbers, True, key=lambda number: not taken(number))


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one dataset. A job may take `timeout` seconds; all jobs together must end by `deadline`."""

    client: bigquery.Client
    dataset: bigquery.DatasetReference
    location: str
    timeout: float = 600.0
    deadline: Deadline = NEVER

    def request(self, doing: str) -> float:
        """The seconds that the next HTTP request may take."""
        return self.deadline.of(REQUEST_TIMEOUT, doing)

    def select(self, sql: str, parameters: Parameters, doing: str) -> list[Row]:
        """The rows of a query."""
        config = bigquery.QueryJobConfig(default_dataset=self.dataset, query_parameters=list(parameters))
        with warehouse_errors(doing):
            rows = self.client.query_and_wait(
                sql,
                job_config=config,
                location=self.location,
                api_timeout=self.request(doing),
                wait_timeout=self.deadline.of(self.timeout, doing),
                retry=ONCE,
                job_retry=ONCE,
            )
            return list(rows)

    def rows(self, job: QueryJob, doing: str) -> list[Row]:
        """The rows of a job that has ended."""
        with warehouse_errors(doing):
            return list(job.result(retry=ONCE, job_retry=None, timeout=self.request(doing)))

    def load(self, parquet: Path, destination: str, job_id: str, config: bigquery.LoadJobConfig) -> LoadJob:
        """Upload a file and wait until it is loaded into the dataset's table `destination`."""
        doing = f"loading {parquet.name} into {destination}"
        with warehouse_errors(doing), parquet.open("rb") as file:
            job = self.client.load_table_from_file(
                file,
                self.dataset.table(destination),
                size=parquet.stat().st_size,
                num_retries=0,
                job_id=job_id,
                location=self.location,
                job_config=config,
                timeout=self.request(doing),
            )
        self.settle(job, doing)
        return job

    def run_in_chain(self, chain: str, sql: str, config: bigquery.QueryJobConfig, doing: str) -> QueryJob:
        """Run a statement under the chain's next free id, after every earlier job of the chain has ended.

        The statement must differ from every other in the chain: it identifies our job when the response to its
        submission was lost.
        """
        generation = first_free(lambda number: self._find(f"{chain}_{number}", doing) is not None)
        # guard: the job before has ended
        if generation:
            self._wait(self._get(f"{chain}_{generation - 1}", doing), doing)
        for number in count(generation):
            job = self._submit(f"{chain}_{number}", sql, config, doing)
            self._wait(job, doing)
            # guard: a job is ours by its statement
            if isinstance(job, QueryJob) and job.query == sql:
                self.settle(job, doing)
                return job
        raise AssertionError("count() does not end")

    def _submit(self, job_id: str, sql: str, config: bigquery.QueryJobConfig, doing: str) -> AnyJob:
        with warehouse_errors(doing):
            # guard: a taken job id is read
            try:
                return self.client.query(
                    sql,
                    job_config=config,
                    job_id=job_id,
                    location=self.location,
                    retry=ONCE,
                    job_retry=None,
                    timeout=self.request(doing),
                )
            except Conflict:
                return self._get(job_id, doing)

    def _find(self, job_id: str, doing: str) -> AnyJob | None:
        with warehouse_errors(doing):
            try:
                found: AnyJob = self.client.get_job(
                    job_id, location=self.location, retry=ONCE, timeout=self.request(doing)
                )
            except NotFound:
                return None
            return found

    def _get(self, job_id: str, doing: str) -> AnyJob:
        job = self._find(job_id, doing)
        if job is None:  # BigQuery may take a moment to show a job whose id it already refuses
            raise WarehouseUnavailable(f"{doing}: the job id {job_id} is taken, but the job cannot be read yet.")
        return job

    def _wait(self, job: AnyJob, doing: str) -> None:
        deadline, pause = time.monotonic() + self.timeout, 0.05
        with warehouse_errors(doing):
            while not job.done(retry=ONCE, timeout=self.request(doing)):
                # guard: time of a job
                if time.monotonic() > deadline:
                    raise WarehouseUnavailable(f"{doing}: the job {job.job_id} still runs after {self.timeout:g} s.")
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)

    def settle(self, job: AnyJob, doing: str) -> None:
        """Wait for the job to end; raise if it failed."""
        self._wait(job, doing)
        # guard: a failed job is an error
        if job.error_result:
            raise job_failure(job.error_result, doing)
