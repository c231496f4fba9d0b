"""Closed windows that are not loaded are named: by the sensor with each look, and by hand."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import dagster as dg

from flows_platform.domain.errors import SourceUnavailable
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.windowed.definitions import windowed_definitions
from flows_platform.windowed.overdue import NAME
from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_automation import KEYS


def overdue_now(platform: Platform, wall: datetime) -> list[tuple[bool, object]]:
    """The outcomes on record after a tick of the sensor at `wall`, newest first, with the windows they name."""
    declaration = flows_windows(platform.settings)
    definitions = dg.Definitions.merge(
        windowed_definitions(declaration, now=lambda: wall), dg.Definitions(resources=platform.resources._asdict())
    )
    sensor = definitions.resolve_sensor_def("flows_new_windows")
    resources = platform.resources._asdict()
    with (
        dg.build_sensor_context(instance=platform.instance, definitions=definitions, resources=resources) as context,
        suppress(SourceUnavailable),
    ):
        sensor.evaluate_tick(context)
    key = dg.AssetCheckKey(declaration.table_key, NAME)
    found = platform.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    evaluations = [each.evaluation for each in found]
    return [
        (each.passed, each.metadata["windows"].value)
        for each in evaluations
        if isinstance(each, dg.AssetCheckEvaluation)
    ]


def test_overdue_windows_are_named_also_while_the_api_is_down(platform: Platform) -> None:
    closed = datetime(2014, 1, 1, 6, 20, tzinfo=UTC)
    assert overdue_now(platform, closed - timedelta(hours=3)) == []
    assert overdue_now(platform, closed) == [(False, KEYS[0])]  # the second one has its patience yet
    assert platform.run_windows(KEYS[0]).success
    assert overdue_now(platform, closed) == [(True, "none"), (False, KEYS[0])]
    assert len(overdue_now(platform, closed + timedelta(minutes=19))) == 2
    platform.supervisor.stop()
    assert overdue_now(platform, closed + timedelta(minutes=20))[0] == (False, KEYS[1])
    assert overdue_now(platform, datetime(2026, 1, 1, tzinfo=UTC))[0] == (False, ", ".join(KEYS[5:]))


def test_who_runs_the_check_by_hand_sees_the_same(platform: Platform) -> None:
    chosen = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("flows"), NAME))
    job = dg.Definitions.merge(
        platform.definitions, dg.Definitions(jobs=[dg.define_asset_job("check", selection=chosen)])
    ).resolve_job_def("check")
    (evaluation,) = job.execute_in_process(instance=platform.instance).get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.metadata["overdue"].value == 3
    assert evaluation.metadata["newest_closed"].value == KEYS[7]
