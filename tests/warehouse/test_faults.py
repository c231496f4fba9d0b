"""Races, repeats and kills: no row is lost, no row comes twice, and running the window again converges."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import WarehouseError, WarehouseUnavailable
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window
from flows_platform.local.emulator import Emulator
from flows_platform.local.supervisor import Supervisor
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse import replace_window
from flows_platform.warehouse.jobs import Jobs
from flows_platform.warehouse.replace_window import Publication, Published
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from tests.warehouse.flow_rows import Row, flow, window

type Made = Callable[[Window, Sequence[Row]], Publication]
type AtOnce = Callable[[Sequence[Publication]], list[Published]]


def slow(side: int) -> str:
    """A query that computes `side` squared hashes; with 1600, it takes about two seconds."""
    numbers = f"UNNEST(GENERATE_ARRAY(1, {side}))"
    return f"SELECT MAX(TO_HEX(SHA256(CAST(a * b AS STRING)))) FROM {numbers} a, {numbers} b"


def rows_of(number: int, count: int = 40) -> list[Row]:
    return [flow(number * 1000 + index, number * 10800 + index) for index in range(count)]


@pytest.fixture
def publish_at_once(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> AtOnce:
    """Publish from one thread each; all threads have reached their MERGE when the first one submits it."""
    merge = replace_window.WindowChange.run

    def publish(made: Sequence[Publication]) -> list[Published]:
        gate = threading.Barrier(len(made))

        def together(*args: Any) -> bigquery.QueryJob:
            gate.wait(60)
            return merge(*args)

        with monkeypatch.context() as patch, ThreadPoolExecutor(len(made)) as pool:
            patch.setattr(replace_window.WindowChange, "run", together)
            return list(pool.map(warehouse.replace_window, made))

    return publish


@pytest.mark.slow
@pytest.mark.parametrize("already_there", [False, True])
def test_publishers_of_one_window_at_once_leave_its_rows_once_and_merge_one_by_one(
    warehouse: Warehouse, publication: Made, publish_at_once: AtOnce, *, already_there: bool
) -> None:
    if already_there:
        warehouse.replace_window(publication(window(0), rows_of(0, 10)))
    published = publish_at_once([publication(window(0), rows_of(0)) for _ in range(3)])
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(rows_of(0))
    # The emulator runs jobs one after the other, BigQuery does not: both are right if no two jobs overlap.
    jobs = [warehouse.client.get_job(result.merge_job) for result in published]
    spans = sorted((job.started, job.ended) for job in jobs)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.slow
def test_publishers_of_different_windows_at_once_do_not_disturb_each_other(
    warehouse: Warehouse, publication: Made, publish_at_once: AtOnce
) -> None:
    for _ in range(2):  # into an empty table, then over existing rows
        publish_at_once([publication(window(number), rows_of(number)) for number in range(4)])
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of([row for number in range(4) for row in rows_of(number)])


@pytest.fixture
def jobs(warehouse: Warehouse) -> Jobs:
    return warehouse._jobs()


def test_a_taken_id_is_waited_for_and_the_next_one_used(jobs: Jobs) -> None:
    chain = f"chain_{uuid4().hex}"
    ran = [jobs.run_in_chain(chain, f"SELECT {number}", bigquery.QueryJobConfig(), "x") for number in range(6)]
    assert [job.job_id for job in ran] == [f"{chain}_{number}" for number in range(6)]


@pytest.mark.slow
def test_a_statement_starts_after_the_one_that_another_machine_has_running(jobs: Jobs) -> None:
    """The two share no lock: only the chain of ids keeps them apart."""
    chain = f"chain_{uuid4().hex}"
    running = jobs.client.query(slow(1600), job_id=f"{chain}_0", job_retry=None)
    ours = jobs.run_in_chain(chain, "SELECT 1", bigquery.QueryJobConfig(), "x")
    running.reload()
    assert running.ended <= ours.started


def test_a_lost_acknowledgement_finds_the_job_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id looks free, the submission meets a conflict, and the job with that id is our own."""
    chain = f"chain_{uuid4().hex}"
    first = jobs.run_in_chain(chain, "SELECT 1", bigquery.QueryJobConfig(), "x")
    monkeypatch.setattr("flows_platform.warehouse.jobs.first_free", lambda _: 0)
    again = jobs.run_in_chain(chain, "SELECT 1", bigquery.QueryJobConfig(), "x")
    assert (again.job_id, again.created) == (first.job_id, first.created)
    other = jobs.run_in_chain(chain, "SELECT 2", bigquery.QueryJobConfig(), "x")
    assert other.job_id == f"{chain}_1"


def test_a_failed_id_raises_its_error_and_gets_a_new_generation(jobs: Jobs) -> None:
    chain = f"chain_{uuid4().hex}"
    with pytest.raises(WarehouseError, match="notFound"):
        jobs.run_in_chain(chain, "SELECT * FROM `nowhere`", bigquery.QueryJobConfig(default_dataset=jobs.dataset), "x")
    assert jobs.run_in_chain(chain, "SELECT 1", bigquery.QueryJobConfig(), "x").job_id == f"{chain}_1"


def test_a_job_that_takes_too_long_is_unavailable(jobs: Jobs) -> None:
    chain = f"chain_{uuid4().hex}"
    with pytest.raises(WarehouseUnavailable, match="still runs after 0 s"):
        replace(jobs, timeout=0.0).run_in_chain(chain, slow(3000), bigquery.QueryJobConfig(), "counting")
    jobs.client.cancel_job(f"{chain}_0")


@contextmanager
def killed_before_merge(monkeypatch: pytest.MonkeyPatch, kill: Callable[[], None]) -> Iterator[None]:
    """The emulator dies after the load and before the MERGE is submitted."""
    merge = replace_window.WindowChange.run

    def after_the_kill(*args: Any) -> bigquery.QueryJob:
        kill()
        return merge(*args)

    with monkeypatch.context() as patch:
        patch.setattr(replace_window.WindowChange, "run", after_the_kill)
        yield


@pytest.mark.slow
def test_an_emulator_killed_between_stage_and_merge_keeps_the_old_window_and_a_rerun_converges(
    tmp_path: Path, publication: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator.at(tmp_path / "data")
    arguments = (emulator.url, "local", "US", emulator.key_file)
    with Supervisor() as supervisor, emulator_client(*arguments) as client:
        (child,) = supervisor.start(emulator.child())
        warehouse = Warehouse(client, "flows", "US", tmp_path / "locks", timeout=60.0, attempts=1)
        warehouse.ensure_table(FLOWS_TABLE)
        warehouse.replace_window(publication(window(0), rows_of(0, 10)))
        new = publication(window(0), rows_of(0))
        with (
            killed_before_merge(monkeypatch, lambda: os.killpg(child.pid, signal.SIGKILL)),
            pytest.raises(WarehouseUnavailable, match="no answer"),
        ):
            warehouse.replace_window(new)
        supervisor.stop()
        supervisor.start(emulator.child())
        assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(rows_of(0, 10))
        warehouse.replace_window(new)
        assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(rows_of(0))
