"""Closed windows that are not loaded are named: by the lag's sensor with each look, and by hand."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from flows_platform.orchestration.partitions import LAG_CHECK
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_automation import KEYS

pytestmark = pytest.mark.slow


def overdue_now(platform: Platform, wall: datetime) -> list[tuple[bool, object]]:
    """The outcomes on record after a tick of the sensor at `wall`, newest first, with the windows they name."""
    declaration = flows_windows(platform.settings)
    definitions = dg.Definitions.merge(
        windowed_definitions(declaration, now=lambda: wall), dg.Definitions(resources=platform.resources._asdict())
    )
    sensor = definitions.resolve_sensor_def("flows_lag")
    with dg.build_sensor_context(instance=platform.instance, definitions=definitions) as context:
        sensor.evaluate_tick(context)
    key = dg.AssetCheckKey(declaration.table_key, LAG_CHECK)
    found = platform.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    evaluations = [record.evaluation for record in found]
    return [
        (evaluation.passed, evaluation.metadata["missing_windows"].value)
        for evaluation in evaluations
        if isinstance(evaluation, dg.AssetCheckEvaluation)
    ]


def test_overdue_windows_are_named_also_while_the_api_is_down(platform: Platform) -> None:
    closed = datetime(2014, 1, 1, 6, 20, tzinfo=UTC)
    assert platform.run_windows(KEYS[7]).success  # one that is loaded does not hide those before it
    assert overdue_now(platform, closed - timedelta(hours=3, minutes=1)) == []  # none has closed yet
    assert overdue_now(platform, closed)[0] == (False, f"{KEYS[0]}, {KEYS[1]}")
    assert platform.run_windows(KEYS[0]).success
    assert overdue_now(platform, closed)[0] == (True, KEYS[1])  # it has its patience yet
    platform.supervisor.stop()
    assert overdue_now(platform, closed + timedelta(minutes=20))[0] == (False, KEYS[1])
    assert overdue_now(platform, datetime(2026, 1, 1, tzinfo=UTC))[0] == (False, ", ".join(KEYS[1:7]))


def test_who_runs_the_check_by_hand_sees_the_same(platform: Platform) -> None:
    chosen = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("flows"), LAG_CHECK))
    job = dg.Definitions.merge(
        platform.definitions, dg.Definitions(jobs=[dg.define_asset_job("check", selection=chosen)])
    ).resolve_job_def("check")
    (evaluation,) = job.execute_in_process(instance=platform.instance).get_asset_check_evaluations()
    assert not evaluation.passed
    assert (evaluation.metadata["missing"].value, evaluation.metadata["never_started"].value) == (8, 8)
    assert evaluation.metadata["newest_closed"].value == KEYS[7]
