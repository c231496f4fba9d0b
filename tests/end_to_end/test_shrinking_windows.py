"""A window that loses rows keeps them until a second pull says the same: run, schedule, sensor, alert."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from flows_platform.domain.wanted_windows import Cursor
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.new_windows_sensor import new_windows
from flows_platform.orchestration.confirmations import confirmable, waiting
from flows_platform.orchestration.notifications.problems import Memory
from flows_platform.orchestration.notifications.sensor import looked
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.warehouse.replace_window import Published
from flows_platform.window_files.ledger import Withheld
from tests.end_to_end.conftest import MakePlatform, Platform, scheduled_keys
from tests.end_to_end.nvd_platform import KEY, NvdPlatform, expected_rows, nvd_on
from tests.fakes.cve_objects import Cve, cves
from tests.fakes.nvd_server import NvdServer

pytestmark = pytest.mark.slow

START = datetime(2024, 3, 1)  # noqa: DTZ001 - NVD writes its times without a zone
DAY = "2024-03-01-00:00"
NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def some(count: int) -> list[Cve]:
    return list(cves(count, 1, start=START, end=START + timedelta(days=1)))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NvdServer]:
    monkeypatch.setenv("NVD_API_KEY", KEY)
    with NvdServer([], api_key=KEY) as server:
        yield server


@pytest.fixture
def platform(make_platform: MakePlatform, server: NvdServer) -> Platform:
    return make_platform(nvd_url=server.origin, retry_attempts=1)


@pytest.fixture
def nvd(platform: Platform) -> NvdPlatform:
    return NvdPlatform(platform, nvd_on(platform).table)


@contextmanager
def pulled(nvd: NvdPlatform, at: datetime) -> Iterator[tuple[WindowPipeline, Published | Withheld]]:
    """The day fetched and published at that time, and what came of it."""
    window = nvd.table.grid.from_key(DAY)
    with nvd.table.pipeline(*nvd.platform.resources) as opened:
        pipeline = replace(opened, now=lambda: at)
        pipeline.warehouse.ensure_table(pipeline.table)
        pipeline.fetch(window)
        yield pipeline, pipeline.publish(window, "test")


def outcome(nvd: NvdPlatform, at: datetime) -> Published | Withheld:
    with pulled(nvd, at) as (_, published):
        return published


def held(nvd: NvdPlatform) -> int:
    return len(nvd.table_rows())


def test_one_false_zero_takes_no_row(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = good = some(20)
    assert nvd.run_windows(START).success
    server.cves = []
    run = nvd.run_windows(START)
    assert run.success
    assert nvd.table_rows() == expected_rows(good)
    nvd.check_stored(good)
    (failed,) = [check for check in run.get_asset_check_evaluations() if not check.passed]
    assert (failed.check_name, failed.severity) == ("rows_agree", dg.AssetCheckSeverity.WARN)
    assert (failed.metadata["rows_staged"].value, failed.metadata["rows_in_warehouse"].value) == (0, 20)
    assert "0 rows were pulled, the table has 20, and it stays as it is" in str(failed.metadata["why"].value)
    server.cves = good
    run = nvd.run_windows(START)
    assert all(check.passed for check in run.get_asset_check_evaluations())
    assert nvd.table_rows() == expected_rows(good)
    assert waiting(nvd.table) == {}


def test_the_same_zero_an_hour_later_is_published(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = some(20)
    assert isinstance(outcome(nvd, NOON), Published)
    server.cves = []
    assert isinstance(outcome(nvd, NOON + HOUR), Withheld)
    assert isinstance(outcome(nvd, NOON + 2 * HOUR - MINUTE), Withheld)  # too soon
    assert held(nvd) == 20
    assert outcome(nvd, NOON + 2 * HOUR).deleted == 20  # type: ignore[union-attr]
    assert held(nvd) == 0


def test_the_first_load_of_an_empty_window_waits_for_nothing(nvd: NvdPlatform) -> None:
    assert isinstance(outcome(nvd, NOON), Published)


def test_another_small_answer_begins_the_wait_again(server: NvdServer, nvd: NvdPlatform) -> None:
    full = some(200)
    rows = {0: 200, 1: 40, 3: 0, 4: 60, 5: 40}  # by the hour
    for hour, count in rows.items():
        server.cves = full[:count]
        outcome(nvd, NOON + hour * HOUR)
    assert held(nvd) == 40  # moving records go on leaving: 60, then 40
    server.cves = full
    assert isinstance(outcome(nvd, NOON + 6 * HOUR), Published)


def test_a_table_whose_records_do_not_move_takes_the_same_number_alone(server: NvdServer, nvd: NvdPlatform) -> None:
    fixed = NvdPlatform(nvd.platform, replace(nvd.table, moving=False))
    full = some(200)
    found = []
    for hour, count in enumerate((200, 60, 40, 40)):
        server.cves = full[:count]
        found.append(type(outcome(fixed, NOON + hour * HOUR)))
    assert found == [Published, Withheld, Withheld, Published]


def test_the_same_file_published_again_is_no_second_pull(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = some(20)
    outcome(nvd, NOON)
    server.cves = []
    with pulled(nvd, NOON + HOUR) as (pipeline, _):
        later = replace(pipeline, now=lambda: NOON + 9 * HOUR)
        assert isinstance(later.publish(nvd.table.grid.from_key(DAY), "test"), Withheld)
        assert isinstance(later.publish(nvd.table.grid.from_key(DAY), "test", confirm=True), Published)
    assert held(nvd) == 0


def test_rows_that_a_lost_ledger_does_not_know_are_kept_too(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = some(20)
    outcome(nvd, NOON)
    for path in nvd.table.folder.glob("ledger.db*"):
        path.unlink()
    server.cves = []
    assert isinstance(outcome(nvd, NOON + HOUR), Withheld)


def test_schedule_and_sensors_pull_a_waiting_window_again_after_an_hour(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = some(20)
    outcome(nvd, NOON)
    server.cves = []
    outcome(nvd, NOON + HOUR)
    day: Window = nvd.table.grid.from_key(DAY)
    assert list(waiting(nvd.table)) == [day]
    platform, last = nvd.platform, Cursor(0, "2024-03-08-00:00")
    for at, wanted in ((NOON + HOUR + 59 * MINUTE, []), (NOON + 2 * HOUR, [DAY])):
        assert [window.key for window in confirmable(nvd.table, at)] == wanted
        look = new_windows(nvd.table, platform.instance, platform.resources.fetch, at, last)
        assert isinstance(look, dg.SensorResult)
        assert [request.partition_key for request in look.run_requests or []] == wanted
        asked = scheduled_keys(platform.definitions, "nvd_cves_schedule", at, platform.instance, platform.resources)
        assert (DAY in asked) is bool(wanted)


def test_a_waiting_window_is_told_and_healed(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = good = some(20)
    assert nvd.run_windows(START).success
    memory, _ = looked(nvd.platform.instance, Memory(), None)
    server.cves = []
    nvd.run_windows(START)
    memory, (told,) = looked(nvd.platform.instance, memory, None)
    assert (told["problem"], told["members"]) == ("nvd_cves: rows_agree", [DAY])
    assert str(told["error"]).startswith("Waiting for a confirmation since ")
    assert "`confirm: true`" in str(told["remedy"])
    server.cves = good
    nvd.run_windows(START)
    _, (well,) = looked(nvd.platform.instance, memory, None)
    assert well["event"] == "healed"
