"""Windows through Dagster, from the API to the warehouse: all of them, one bad among them, changed ones, empty ones."""

import re
import shutil
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pyarrow.parquet as pq
import pytest

from flows_platform.orchestration.checks import CHECKS, evaluations
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.end_to_end.conftest import MakePlatform, Platform

FIRST, SECOND, BAD, LAST = "2014-01-01-00:00", "2014-01-01-03:00", "2014-01-01-06:00", "2014-01-01-09:00"


def materialized(platform: Platform, asset: str) -> set[str]:
    return platform.instance.get_materialized_partitions(dg.AssetKey(asset))


@pytest.fixture
def morning(platform: Platform) -> Platform:
    """Its database ends with the last window: these four, one behind the bad one, are all that there is to load."""
    platform.change_database("DELETE FROM flows WHERE time > 43199")
    return platform


def test_every_window_is_loaded_and_verified_and_the_table_is_the_database(platform: Platform) -> None:
    run = platform.run_windows()
    assert run.success
    assert platform.table_digest() == platform.database_digest()
    assert materialized(platform, "flow_windows") == materialized(platform, "flows") == set(platform.keys)
    assert materialized(platform, "flow_traffic_hourly") == set(platform.keys)
    ((flows, traffic),) = platform.query(
        "SELECT (SELECT SUM(IF(src_comp = dst_comp, 1, 2)) FROM flows), (SELECT SUM(flows) FROM flow_traffic_hourly)"
    )
    assert flows == traffic
    assert platform.run_check("flow_traffic_hourly").passed
    platform.query("DELETE FROM flow_traffic_hourly WHERE computer = (SELECT MIN(src_comp) FROM flows)")
    failed = platform.run_check("flow_traffic_hourly")
    assert not failed.passed
    assert int(str(failed.metadata["differing_hours"].value)) > 0
    assert platform.checks(run.run_id) == {(key, name): True for key in platform.keys for name in CHECKS}
    for asset, chart in (
        ("flows", "recent_rows_by_time"),
        ("flow_traffic_hourly", "recent_bytes_by_time"),
    ):  # drawn once a run
        assert [key for key in platform.keys if chart in platform.metadata(asset, key)] == platform.keys[-1:]
    assert "recent_busiest_computers" in platform.metadata("flow_traffic_hourly", platform.keys[-1])
    assert all("rows_by_time" in platform.metadata("flow_windows", key) for key in platform.keys)


@pytest.mark.slow
def test_a_window_tells_its_figures(platform: Platform) -> None:
    platform.run_windows(SECOND)
    figures = platform.metadata("flow_windows", SECOND)
    url = f"{platform.settings.stream_url}?scanned_after=10799&scanned_before=21599&format=json"
    assert figures["request"] == f"curl --fail '{url}'"
    assert figures["verification"] == "L2 count"
    assert figures["rejected"] == 0
    assert figures["rows"] == figures["dagster/partition_row_count"] == pq.read_table(str(figures["file"])).num_rows
    assert "2014-01-01T03:" <= str(figures["first_event"]) < str(figures["last_event"]) < "2014-01-01T06:"
    published = platform.metadata("flows", SECOND)
    assert published["rows"] == figures["rows"]
    assert published["rows_replaced"] == 0
    assert "pictures" not in published  # what would say why there are none
    for shown, recent in ((figures, ""), (published, "recent ")):
        for name in ("rows by time", "top computers", "protocol mix"):
            chart = str(shown[(recent + name).replace(" ", "_")])
            assert re.match(rf"!\[{recent}{name}: bars, the highest of \d+ is \S+\]\(data:image/png;base64,", chart)
        ((first, *_), *_) = cast("list[list[Any]]", shown["first_rows"])
        assert first.data["time"] >= 10_800
    assert first.data["event_time"].startswith("2014-01-01 03:")


@pytest.mark.slow
def test_a_bad_window_fails_alone_and_is_named(morning: Platform) -> None:
    in_the_way = morning.settings.files.windows / "flows" / "2014-01-01-0600.parquet"
    in_the_way.mkdir(parents=True)
    run = morning.run_windows(FIRST, LAST)
    assert not run.success
    good = {FIRST, SECOND, LAST}
    assert materialized(morning, "flow_windows") == materialized(morning, "flows") == good
    (failure,) = run.get_step_failure_events()
    error = failure.step_failure_data
    assert error.user_failure_data is not None
    assert f"1 of 4 windows failed: {BAD}. The others are done." in str(error.user_failure_data.description)
    assert "is not a regular file" in str(error.user_failure_data.metadata[BAD].value)
    assert {key for key, _ in morning.checks(run.run_id)} == good

    in_the_way.rmdir()
    assert morning.run_windows(BAD).success
    assert morning.table_digest() == morning.database_digest()


@pytest.mark.slow
def test_a_window_run_again_is_replaced_and_its_neighbours_stay(morning: Platform) -> None:
    morning.run_windows(FIRST, LAST)
    morning.change_database(
        "DELETE FROM flows WHERE time BETWEEN 21600 AND 32399 AND id % 2 = 0",
        "UPDATE flows SET byte_count = 9223372036854775807 WHERE time BETWEEN 21600 AND 32399",
        "DELETE FROM flows WHERE time < 21600",  # before the window: must not be touched
    )
    before = morning.query("SELECT COUNT(*) FROM flows WHERE time < 21600")
    assert morning.run_windows(BAD, confirm=True).success
    assert morning.query("SELECT COUNT(*) FROM flows WHERE time < 21600") == before != [(0,)]
    figures = morning.metadata("flows", BAD)
    assert int(str(figures["rows_replaced"])) > int(str(figures["rows"]))
    assert morning.table_digest(BAD) == morning.database_digest(first=21600, last=32399)
    assert morning.run_windows(FIRST, LAST, confirm=True).success
    assert morning.table_digest() == morning.database_digest()


@pytest.mark.slow
def test_an_emptied_window_is_emptied_in_the_warehouse(morning: Platform) -> None:
    morning.run_windows(FIRST, LAST)
    morning.change_database("DELETE FROM flows WHERE time BETWEEN 21600 AND 32399")
    before = morning.query("SELECT COUNT(*) FROM flows WHERE time BETWEEN 21600 AND 32399")
    assert morning.run_windows(BAD).success
    assert morning.query("SELECT COUNT(*) FROM flows WHERE time BETWEEN 21600 AND 32399") == before != [(0,)]
    assert morning.run_windows(BAD, confirm=True).success
    assert morning.query("SELECT COUNT(*) FROM flows WHERE time BETWEEN 21600 AND 32399") == [(0,)]
    assert morning.table_digest() == morning.database_digest()


@pytest.mark.slow
def test_checks_see_a_table_that_was_tampered_with(platform: Platform) -> None:
    platform.run_windows(BAD)
    platform.query("DELETE FROM flows WHERE id IN (SELECT MIN(id) FROM flows)")
    platform.query("UPDATE flows SET event_time = TIMESTAMP_ADD(event_time, INTERVAL 1 SECOND) WHERE TRUE")
    with platform.windows() as pipeline:
        counts = pipeline.counts(flows_windows(platform.settings).grid.from_key(BAD))
    outcomes = evaluations(flows_windows(platform.settings), BAD, counts)
    assert {outcome.check_name: (outcome.passed, outcome.partition) for outcome in outcomes} == {
        "rows_agree": (False, BAD),
        "events_in_window": (False, BAD),
        "keys_unique": (True, BAD),
    }


@pytest.mark.slow
def test_a_window_that_was_not_fetched_cannot_be_published(platform: Platform) -> None:
    with platform.windows() as pipeline:
        assert not pipeline.folder.exists()
    job = dg.define_asset_job("publish", selection=dg.AssetSelection.assets("flows"))
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job]))
    run = definitions.resolve_job_def("publish").execute_in_process(
        instance=platform.instance, partition_key=BAD, raise_on_error=False
    )
    (failure,) = run.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    assert "Fetch it first" in str(failure.step_failure_data.user_failure_data.metadata[BAD].value)


@pytest.mark.slow
def test_a_new_database_is_served_without_a_restart(platform: Platform, make_platform: MakePlatform) -> None:
    platform.run_windows(FIRST)
    other = make_platform(sample_rows=700, sample_seed=9, home=platform.settings.home / "other")
    assert other.build_database().success
    shutil.copy(other.settings.files.database, platform.settings.files.database.with_suffix(".new"))
    Path(platform.settings.files.database.with_suffix(".new")).replace(platform.settings.files.database)
    assert platform.run_windows(confirm=True).success
    assert platform.table_digest() == platform.database_digest()
    assert platform.table_digest().count == 700
