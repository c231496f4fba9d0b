"""Running BigQuery jobs: submitted once under an id of our own, waited for with a deadline, failures classified.

Nothing here retries: the client library's own retries are switched off, so that `Warehouse` is the one place.

A chain is a row of job ids `name_0`, `name_1`, … of which each is submitted only when the one before has ended. A job
id can be taken once, so of several publishers of one window, on any machine and even after one was killed, one runs
its statement at a time. BigQuery needs that: two MERGEs that find nothing to delete do not conflict and would both
insert.
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
    """`seconds` from its making on; its clock is monotonic."""

    seconds: float
    _began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds; 0 once it is over."""
        return max(0.0, self._began + self.seconds - time.monotonic())

    def of(self, seconds: float, doing: str) -> float:
        """At most so many seconds, for one request or wait.

        Raises:
            WarehouseUnavailable: none are left.
        """
        left = self.left
        if not left:
            raise WarehouseUnavailable(
                f"{doing}: not done {self.seconds:g} s after it was begun.",
                remedy="Check that the warehouse answers; where windows are that large, raise FLOWS_PUBLISH_DEADLINE.",
            )
        # guard: no request outlasts the deadline of publishing
        return min(seconds, left)


NEVER = Deadline(math.inf)


# Seconds one HTTP request may take; uploads send at most 100 MB in one.
REQUEST_TIMEOUT = 120.0
# Seconds between two looks at a job: windows wait for a load and a MERGE of a second or some each, one after the other.
LONGEST_PAUSE = 0.25
# The client library's way to say: no retries.
ONCE = Retry(predicate=if_exception_type())

type Parameters = Sequence[bigquery.ScalarQueryParameter]
type AnyJob = LoadJob | QueryJob | bigquery.CopyJob | bigquery.ExtractJob | bigquery.UnknownJob


def first_free(taken: Callable[[int], bool]) -> int:
    """The smallest number that is not taken, where all below a taken one are; about 2 log2 of it questions."""
    above = 1
    while taken(above - 1):
        above *= 2
    numbers = range(above // 2, above - 1)
    return numbers.start + bisect_left(numbers, True, key=lambda number: not taken(number))


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one dataset. `timeout` is the seconds a job may take; all of them together end with `deadline`."""

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
        """The rows that a job which has ended gave."""
        with warehouse_errors(doing):
            return list(job.result(retry=ONCE, job_retry=None, timeout=self.request(doing)))

    def load(self, parquet: Path, destination: str, job_id: str, config: bigquery.LoadJobConfig) -> LoadJob:
        """Uploads a file and waits until it is loaded into the dataset's table `destination`."""
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
        """Runs a statement under the chain's next free id, once every job before it has ended.

        The statement must be unlike any other of the chain: by it a job is known as ours where the acknowledgement of
        its submission was lost.
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
            raise WarehouseUnavailable(f"{doing}: the job {job_id} is taken but not to be seen yet.")
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
        """Waits for the job's end and raises where it failed."""
        self._wait(job, doing)
        # guard: a failed job is told
        if job.error_result:
            raise job_failure(job.error_result, doing)
