"""Runs that a stop of the platform left behind."""

from pathlib import Path

import dagster as dg

from flows_platform.commands.instance import fail_abandoned_runs, open_instance
from flows_platform.settings import load_settings


@dg.job
def nothing() -> None:
    """A job to have runs of."""


def test_runs_without_a_process_are_failed_and_others_left_alone(tmp_path: Path) -> None:
    with open_instance(load_settings(home=tmp_path)) as instance:
        done = nothing.execute_in_process(instance=instance).run_id
        states = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
        lost = [instance.create_run_for_job(nothing, status=state).run_id for state in states]
        waiting = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.NOT_STARTED).run_id

        assert fail_abandoned_runs(instance) == 3

        found = {run.run_id: run.status for run in instance.get_runs()}
        assert [found[each] for each in lost] == [dg.DagsterRunStatus.FAILURE] * 3
        assert (found[done], found[waiting]) == (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.NOT_STARTED)
        assert fail_abandoned_runs(instance) == 0
