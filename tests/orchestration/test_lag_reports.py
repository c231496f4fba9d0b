"""The lag on pages and in notifications: check, freshness and message show the same figure, in any order of loading."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

from flows_platform.cli.commands.instance import open_instance
from flows_platform.domain.simulated_clock import SimulatedClock
from flows_platform.orchestration.automation.overdue import LagCursor, looked
from flows_platform.orchestration.known_windows import known_windows
from flows_platform.orchestration.notifications.problems import Memory
from flows_platform.orchestration.notifications.sensor import looked as notifications_looked
from flows_platform.orchestration.partitions import LAG_CHECK, PARTITION, range_tags
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.window_files.ledger import Withheld, ledger_of
from tests.orchestration.pages_in_process import pages_of

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK_STATUS = """{assetNodeOrError(assetKey: {path: ["flows"]}) {... on AssetNode {
  assetChecksOrError {... on AssetChecks {
    checks {name executionForLatestMaterialization {status}}
  }}
}}}"""
STATUS = "{assetNodes {assetKey {path} freshnessStatusInfo {freshnessStatus}}}"


@dataclass
class Watched:
    """A table whose windows a test loads or leaves out, and its lag sensor, tick after tick."""

    table: WindowedTable
    instance: dg.DagsterInstance
    cursor: LagCursor = field(default_factory=lambda: LagCursor.parse(None))

    @cached_property
    def definitions(self) -> dg.Definitions:
        resources = dg.Definitions(resources=build_resources(load_settings())._asdict())
        return dg.Definitions.merge(windowed_definitions(self.table), resources)

    def wall(self, closed: int) -> datetime:
        """The time at which `closed` windows have closed."""
        return self.table.grid.nth(closed - 1).end + self.table.calendar.grace

    def key(self, number: int) -> str:
        return self.table.grid.nth(number).key

    def load(self, *numbers: int) -> None:
        for key in map(self.key, numbers):
            self.instance.report_runless_asset_event(dg.AssetMaterialization(self.table.table_key, partition=key))

    def load_by_run(self, number: int) -> None:
        """Load a window as a run records it: Dagster ties a materialisation without a run to the check."""
        job = self.table.windows_job
        run = self.instance.create_run_for_job(self.definitions.resolve_job_def(job))
        made = StepMaterializationData(dg.AssetMaterialization(self.table.table_key, partition=self.key(number)))
        event = dg.DagsterEvent(dg.DagsterEventType.ASSET_MATERIALIZATION.value, job, event_specific_data=made)
        self.instance.report_dagster_event(event, run.run_id)

    def run(self, first: int, last: int, *, fails: bool) -> None:
        """A run that fails, or stays unfinished, without loading its windows."""
        tags = {PARTITION: self.key(first)} if first == last else range_tags(self.key(first), self.key(last))
        job = self.definitions.resolve_job_def(self.table.windows_job)
        run = self.instance.create_run_for_job(job, tags=tags)
        if fails:
            self.instance.report_run_failed(run)

    def look(self, wall: datetime) -> str:
        """The sensor's message; its cursor is rendered and parsed between ticks."""
        lag, cursor = looked(self.table, self.instance, LagCursor.parse(self.cursor.render()), wall)
        self.cursor = cursor
        return str(lag)

    def checks(self) -> list[dg.AssetCheckEvaluation]:
        """The outcomes on record, newest first."""
        key = dg.AssetCheckKey(self.table.table_key, LAG_CHECK)
        found = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        return [record.evaluation for record in found if isinstance(record.evaluation, dg.AssetCheckEvaluation)]

    def figure(self, name: str) -> object:
        return self.checks()[0].metadata[name].value

    def freshness(self) -> dict[str, str]:
        with pages_of(self.definitions, self.instance) as pages:
            nodes = pages.ask(STATUS)["assetNodes"]
        shown = {node["assetKey"]["path"][-1]: node["freshnessStatusInfo"] for node in nodes}
        return {name: info["freshnessStatus"] for name, info in shown.items() if info}


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a Dagster instance: creating it takes longer than a test."""
    home = tmp_path_factory.mktemp("new") / "home"
    with open_instance(load_settings(home=home)):
        return home


@pytest.fixture
def watched(tmp_path: Path, new_home: Path) -> Iterator[Watched]:
    """The table of flows without an end date; no window is loaded."""
    shutil.copytree(new_home, tmp_path / "home")
    values = load_settings(home=tmp_path / "home")
    table = flows_windows(values)
    with open_instance(values) as instance:
        live = replace(table, calendar=replace(table.calendar, end=None))
        yield Watched(live, instance)


@pytest.mark.slow
def test_forty_windows_behind_is_shown_as_forty_everywhere(watched: Watched) -> None:
    """Even though the newest window came a moment ago."""
    watched.load(*range(3), 42)
    wall = watched.wall(43)
    watched.look(wall)
    assert (watched.figure("missing"), watched.figure("lag_seconds")) == (39, 39 * 3 * 3600 + 1200)
    assert (watched.figure("oldest_missing"), watched.figure("never_started")) == (watched.key(3), 39)
    (check,) = watched.checks()
    assert not check.passed
    assert "39 of 43 closed windows are not in the table" in str(check.description)
    assert set(watched.freshness().values()) == {"DEGRADED"}

    _, messages = notifications_looked(watched.instance, Memory(), watched.definitions.get_repository_def())
    (stale,) = messages
    assert (stale["kind"], stale["problem"], stale["event"]) == ("freshness", "lanl_flows", "opened")
    assert stale["error"] == check.description

    watched.load(*range(3, 42))
    watched.look(wall + timedelta(minutes=1))
    assert watched.checks()[0].passed
    assert watched.figure("lag_seconds") == 0
    assert set(watched.freshness().values()) == {"HEALTHY"}


def test_failed_waiting_and_withheld_windows_are_told_apart(watched: Watched) -> None:
    watched.load(*range(6))
    watched.run(7, 8, fails=True)
    watched.run(9, 9, fails=False)
    ledger_of(watched.table.folder).record(
        Withheld(watched.key(2), "2026-01-01T00:00:00Z", "run", "sha", 1, 500, "2026-01-01", "2026-01-01")
    )
    said = watched.look(watched.wall(12))
    assert "6 of 12 closed windows are not in the table" in said
    assert "2 failed, 1 waiting, 3 never started. 1 is waiting for a confirmation." in said
    assert watched.figure("failed_windows") == f"{watched.key(7)}, {watched.key(8)}"
    assert watched.figure("unconfirmed_windows") == watched.key(2)
    watched.load(7, 8)
    assert "0 failed, 1 waiting, 3 never started" in watched.look(watched.wall(12) + timedelta(minutes=1))


def test_the_check_is_reported_as_it_changes_and_once_an_hour_while_something_is_missing(watched: Watched) -> None:
    watched.load(*range(5))
    closed = watched.wall(6)
    watched.look(closed)
    assert [check.passed for check in watched.checks()] == [True]  # the newest window still has time to be loaded
    watched.look(closed + timedelta(minutes=19))
    assert len(watched.checks()) == 1
    watched.look(closed + timedelta(minutes=21))
    watched.look(closed + timedelta(minutes=80))
    assert [check.passed for check in watched.checks()] == [False, True]
    watched.look(closed + timedelta(minutes=81))
    assert [watched.checks()[index].metadata["lag_seconds"].value for index in (0, 1)] == [101 * 60, 41 * 60]
    watched.load(5)
    watched.look(closed + timedelta(minutes=82))
    watched.look(closed + timedelta(hours=2))
    assert [check.passed for check in watched.checks()] == [True, False, False, True]


def shown(watched: Watched) -> str | None:
    """The check's status as the pages show it; None where they show it as not evaluated."""
    with pages_of(watched.definitions, watched.instance) as pages:
        checks = pages.ask(CHECK_STATUS)["assetNodeOrError"]["assetChecksOrError"]["checks"]
    (execution,) = (check["executionForLatestMaterialization"] for check in checks if check["name"] == LAG_CHECK)
    return execution and str(execution["status"])


@pytest.mark.slow
def test_the_pages_show_the_check_as_evaluated_also_after_a_window_came(watched: Watched) -> None:
    wall = watched.wall(3)
    for loaded in range(3):
        watched.load_by_run(loaded)
        assert shown(watched) is None
        watched.look(wall + timedelta(minutes=loaded))
        assert shown(watched) == ("SUCCEEDED" if loaded else "FAILED")
    assert watched.figure("missing") == 0


def test_a_table_that_nobody_uses_is_not_reported(watched: Watched) -> None:
    assert "80 never started" in watched.look(watched.wall(80))
    assert watched.checks() == []
    watched.run(3, 3, fails=True)
    watched.look(watched.wall(80))
    assert watched.figure("failed") == 1


def test_a_wiped_asset_is_seen_at_once_or_within_the_hour(watched: Watched) -> None:
    watched.load(*range(8))
    wall = watched.wall(8)
    assert "All closed windows are in the table: 8." in watched.look(wall)
    watched.instance.wipe_assets([watched.table.table_key])
    assert "8 of 8 closed windows" in watched.look(wall + timedelta(minutes=1))
    watched.load(*range(8))
    assert "All closed windows are in the table: 8." in watched.look(wall + timedelta(minutes=2))
    watched.instance.wipe_assets([watched.table.table_key])
    watched.load(7)
    assert "7 of 8 closed windows" in watched.look(wall + timedelta(minutes=62))


def test_a_simulated_table_is_late_by_the_clock_of_its_data(watched: Watched) -> None:
    """At 360 times the speed a window closes every 30 s; a run may take a minute of the wall clock."""
    simulated = replace(watched.table, clock=SimulatedClock(START, 360))
    fast = Watched(simulated, watched.instance)
    fast.load(0)
    second_closes = START + timedelta(hours=6, minutes=20, seconds=1.5) / 360
    fast.look(second_closes)
    assert fast.checks()[0].passed
    fast.look(second_closes + timedelta(seconds=60))
    assert (fast.figure("missing"), fast.figure("lag_seconds")) == (3, 6 * 3600 + 1201)
    assert set(fast.freshness().values()) == {"DEGRADED"}  # 90 s since the window before it closed


def test_all_of_a_data_set_that_has_ended_is_fresh(watched: Watched) -> None:
    calendar = replace(watched.table.calendar, end=watched.table.grid.nth(4).start)
    ended = Watched(replace(watched.table, calendar=calendar, clock=SimulatedClock(START, 60)), watched.instance)
    ended.load(*range(4))
    assert "All closed windows are in the table: 4." in ended.look(START + timedelta(days=30))
    assert set(ended.freshness().values()) == {"HEALTHY"}


def test_dagsters_own_daemon_is_left_alone_where_it_decides(watched: Watched, tmp_path: Path) -> None:
    home = tmp_path / "theirs"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as theirs:
        other = Watched(watched.table, theirs)
        other.load(0)
        other.look(other.wall(80))
        assert other.figure("missing") == 79
        assert set(other.freshness().values()) == {"UNKNOWN"}


@pytest.mark.slow
def test_looks_that_read_what_is_new_know_what_a_look_at_all_knows(watched: Watched) -> None:
    chance, known = random.Random(0), None
    for _ in range(20):
        number = chance.randrange(10)
        if chance.random() < 0.4:
            watched.run(number, number, fails=True)
        else:
            watched.load(number)
        if chance.random() < 0.5:
            windows, known = known_windows(watched.table, watched.instance, START, known)
            whole, _ = known_windows(watched.table, watched.instance, START)
            assert windows.loaded == whole.loaded
            assert windows.attempted & ~windows.loaded == whole.attempted & ~whole.loaded
