"""Notifications about real windows: one that cannot be fetched, then one whose rows do not agree."""

import shutil

import dagster as dg
import pytest

from flows_platform.orchestration.notifications.problems import Memory
from flows_platform.orchestration.notifications.sensor import looked
from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow

KEY = "2014-01-01-06:00"


def test_a_window_that_fails_and_a_check_that_fails_are_told_with_what_to_do(platform: Platform) -> None:
    memory, messages = looked(platform.instance, Memory(), None)
    assert messages == []
    in_the_way = platform.settings.files.windows / "flows" / "2014-01-01-0600.parquet"
    in_the_way.mkdir(parents=True)
    platform.run_windows(KEY)
    memory, (failed,) = looked(platform.instance, memory, None)
    assert (failed["kind"], failed["problem"], failed["members"]) == ("run", "flows_windows", [KEY])
    assert f"1 of 1 windows failed: {KEY}. {KEY}: " in str(failed["error"])
    assert str(in_the_way) in str(failed["error"])  # the window's own error

    shutil.rmtree(in_the_way)
    assert platform.run_windows(KEY).success
    memory, (healed,) = looked(platform.instance, memory, None)
    assert (healed["event"], healed["problem"]) == ("healed", "flows_windows")

    # The source loses records.
    platform.change_database("DELETE FROM flows WHERE time BETWEEN 21600 AND 32399 AND id % 2 = 0")
    only_the_table = dg.define_asset_job("only_the_table", selection=["flows"])
    job = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[only_the_table]))
    job.resolve_job_def("only_the_table").execute_in_process(instance=platform.instance, partition_key=KEY)
    memory, (check,) = looked(platform.instance, memory, None)
    assert (check["problem"], check["members"]) == ("flows: rows_agree", [KEY])
    assert "rows_at_source" in str(check["error"])
    assert "Materialise the window again" in str(check["remedy"])
    assert platform.run_windows(KEY, confirm=True).success
    _, (well,) = looked(platform.instance, memory, None)
    assert (well["event"], well["problem"]) == ("healed", "flows: rows_agree")
