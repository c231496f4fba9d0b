"""Runs that a stop of the platform left behind."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flows_platform.cli.commands.instance import Materializations, fail_abandoned_runs, open_instance
from flows_platform.settings import load_settings


@dg.job
def nothing() -> None:
    """A job whose runs the tests use."""


@pytest.mark.slow
def test_runs_without_a_process_are_failed_and_others_left_alone(tmp_path: Path) -> None:
    with open_instance(load_settings(home=tmp_path)) as instance:
        done = nothing.execute_in_process(instance=instance).run_id
        states = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
        lost = [instance.create_run_for_job(nothing, status=state).run_id for state in states]
        waiting = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.NOT_STARTED).run_id

        assert fail_abandoned_runs(instance) == 3

        found = {run.run_id: run.status for run in instance.get_runs()}
        assert [found[run_id] for run_id in lost] == [dg.DagsterRunStatus.FAILURE] * 3
        assert (found[done], found[waiting]) == (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.NOT_STARTED)
        assert fail_abandoned_runs(instance) == 0


@dg.job
def records() -> None:
    """Records three materializations."""

    @dg.op
    def three(context: dg.OpExecutionContext) -> None:
        for number in range(3):
            context.log_event(dg.AssetMaterialization("thing", partition=str(number)))

    three()


def test_materializations_are_each_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(load_settings(home=tmp_path)) as instance:
        run_id = records.execute_in_process(instance=instance).run_id
        read: list[int] = []
        get = instance.get_records_for_run

        def counted(*given: Any, **more: Any) -> Any:
            answer = get(*given, **more)
            read.append(len(answer.records))
            return answer

        monkeypatch.setattr(instance, "get_records_for_run", counted)
        recorded = Materializations(instance, run_id)
        assert [recorded.count(), recorded.count()] == [3, 3]
        assert read == [3, 0]
        assert Materializations(instance, "no such run").count() == 0
