"""What live windows ask of schedule, sensor, runs and freshness: nothing twice, nothing lost, by a simulated clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from flows_platform.definitions import build_definitions
from flows_platform.domain.wanted_windows import Cursor, TableState, candidates
from flows_platform.orchestration.automation.new_windows_sensor import new_windows
from flows_platform.orchestration.automation.schedule import closed_before
from flows_platform.orchestration.freshness import freshness_policy
from flows_platform.orchestration.partitions import PARTITION, range_tags
from flows_platform.orchestration.window_history import WindowRuns
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.definitions import flows_definitions
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.end_to_end.conftest import Platform, scheduled_keys
from tests.end_to_end.test_automation import KEYS, cursor_of, look, requested
from tests.end_to_end.test_drift import late_record

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOON = datetime(2014, 1, 1, 12, 30, tzinfo=UTC)
SIMULATED = Settings(days=1, simulated_speed=360, simulated_start=START)


def closed_keys(settings: Settings, at: datetime) -> list[str]:
    declaration = replace(flows_windows(settings), clock=settings.clock)
    cursor = Cursor(last=closed_before(declaration, at).key)
    state = TableState(declaration.calendar, declaration.look_back, cursor, by_clock=True)
    return [window.key for window in candidates(state, declaration.instant(at))]


def test_a_simulated_minute_closes_several_windows() -> None:
    """At 360 times as fast a window closes each 30 s, the first 33 1/3 s after the start."""
    assert closed_keys(SIMULATED, START) == []
    assert closed_keys(SIMULATED, START + MINUTE) == KEYS[:1]
    assert closed_keys(SIMULATED, START + 2 * MINUTE) == [*KEYS[:1], *KEYS[1:3]]
    assert closed_keys(SIMULATED, START + 4 * MINUTE) == [*KEYS[3:5], *KEYS[5:7]]
    assert closed_keys(SIMULATED, START + 5 * MINUTE) == [*KEYS[5:7], KEYS[7]]
    assert closed_keys(SIMULATED, START + 6 * MINUTE) == []


@pytest.mark.slow
def test_every_window_closes_in_one_tick_at_any_speed() -> None:
    for speed in (1, 7, 60, 1000, 86_400):
        settings = Settings(days=1, simulated_speed=speed, simulated_start=START, look_back=0)
        ticks = 1 + int(28 * 60 / speed)
        assert [key for tick in range(ticks + 1) for key in closed_keys(settings, START + tick * MINUTE)] == KEYS


def test_a_simulated_clock_starts_switched_on_and_looks_more_often() -> None:
    def sensors(settings: Settings) -> dict[str, tuple[int | None, str]]:
        definitions = flows_definitions(flows_windows(settings), settings)
        return {
            sensor.name: (sensor.minimum_interval_seconds, sensor.default_status.value)
            for sensor in definitions.sensors or ()
        }

    assert sensors(load_settings()) == {
        "flows_new_windows": (60, "STOPPED"),
        "flows_differing_windows": (3600, "STOPPED"),
        "flows_lag": (60, "RUNNING"),
    }
    assert sensors(SIMULATED) == {
        "flows_new_windows": (5, "RUNNING"),
        "flows_differing_windows": (10, "RUNNING"),
        "flows_lag": (5, "RUNNING"),
    }
    schedule = build_definitions(SIMULATED).resolve_schedule_def("flows_schedule")
    assert (schedule.cron_schedule, schedule.default_status.value) == ("* * * * *", "RUNNING")


@pytest.mark.parametrize(
    ("speed", "warn", "fail"),
    [(1, 12_000, 22_800), (60, 200, 380), (200, 60, 114), (360, 60, 64), (7, 1715, 3258), (720, None, 60)],
)
def test_freshness_keeps_the_pace_of_the_simulated_clock(speed: float, warn: float | None, fail: float) -> None:
    settings = Settings(simulated_speed=speed, simulated_start=START)
    policy = freshness_policy(replace(flows_windows(settings), clock=settings.clock))
    assert isinstance(policy, type(dg.FreshnessPolicy.time_window(fail_window=MINUTE)))
    told = [period and period.to_timedelta().total_seconds() for period in (policy.warn_window, policy.fail_window)]
    assert told == [warn, fail]


def test_history_has_no_freshness_and_an_open_end_has() -> None:
    history = flows_windows(load_settings())
    assert freshness_policy(history) is None
    live = replace(history, calendar=replace(history.calendar, end=None))
    assert freshness_policy(live) is not None
    for specs in (asset.specs for asset in build_definitions(SIMULATED).assets or () if hasattr(asset, "specs")):
        for spec in specs:
            is_window = spec.key.path[-1] in {"flow_windows", "flows", "flow_traffic_hourly"}
            assert (spec.freshness_policy is not None) is is_window or spec.group_name != "lanl_flows"


@contextmanager
def unfinished_run(platform: Platform, tags: dict[str, str]) -> Iterator[None]:
    """A run of windows that waits while the block lasts, and then fails."""
    job = platform.definitions.resolve_job_def("flows_windows_job")
    run = platform.instance.create_run_for_job(job, tags=tags)
    try:
        yield
    finally:
        platform.instance.report_run_failed(run)


@pytest.mark.slow
def test_what_a_run_is_on_is_not_asked_for_again(platform: Platform) -> None:
    first = look(platform, Cursor(), NOON)
    assert requested(first) == KEYS[1:4]
    seen = replace(cursor_of(first), records=3999)  # the source has more now
    with unfinished_run(platform, {PARTITION: KEYS[3]}):
        runs = WindowRuns(flows_windows(platform.settings), platform.instance)
        assert [key for key in KEYS if key in runs.on_the_way()] == [KEYS[3]]
        assert requested(look(platform, Cursor(), NOON)) == KEYS[1:3]
        assert requested(look(platform, seen, NOON)) == KEYS[1:3]
        assert scheduled(platform, datetime(2014, 1, 1, 12, 20, tzinfo=UTC)) == KEYS[1:3]
    with unfinished_run(platform, range_tags(KEYS[1], KEYS[3])):
        assert requested(look(platform, seen, NOON)) == []


def scheduled(platform: Platform, at: datetime) -> list[str | None]:
    return scheduled_keys(platform.definitions, "flows_schedule", at, platform.instance, platform.resources)


@pytest.mark.slow
def test_a_window_that_failed_is_asked_for_again_after_pauses_that_double(platform: Platform) -> None:
    """Also when it is far behind the look-back by then."""
    before = Cursor(4000, KEYS[5], KEYS[0])
    assert platform.run_windows(KEYS[1], KEYS[5]).success
    asked = set[str | None]()
    for failures, wait in ((1, 60), (2, 120), (3, 240)):
        with unfinished_run(platform, {PARTITION: KEYS[0]}):
            pass
        now = datetime.now(UTC)
        early = look_at_end(platform, before, now + timedelta(seconds=wait - 30))
        assert requested(early) == []
        late = look_at_end(platform, before, now + timedelta(seconds=wait + 30))
        assert requested(late) == [KEYS[0]]
        asked.add(late.run_requests[0].run_key)  # type: ignore[union-attr,index]
        assert len(asked) == failures
        assert cursor_of(late).first == KEYS[0]
    assert platform.run_windows(KEYS[0]).success
    done = look_at_end(platform, before, now + timedelta(days=1))
    assert requested(done) == []
    assert cursor_of(done).first == KEYS[5]


def look_at_end(platform: Platform, cursor: Cursor, now: datetime) -> dg.SensorResult | dg.SkipReason:
    """A look while the source's windows end with the cursor's."""
    declaration = flows_windows(platform.settings)
    calendar = replace(declaration.calendar, end=declaration.grid.from_key(cursor.last).end)
    ended = replace(declaration, calendar=calendar)
    return new_windows(ended, platform.instance, platform.resources.fetch, now, cursor)


@pytest.mark.slow
def test_the_schedule_leaves_what_is_loaded_as_the_source_counts_it(platform: Platform) -> None:
    at = datetime(2014, 1, 1, 9, 20, tzinfo=UTC)
    assert scheduled(platform, at) == KEYS[:3]
    assert platform.run_windows(KEYS[0], KEYS[1]).success
    assert scheduled(platform, at) == [KEYS[2]]
    late_record(platform)
    assert scheduled(platform, at) == [KEYS[0], KEYS[2]]
    platform.supervisor.stop()  # what is loaded may wait for an answer, what is not may not
    assert scheduled(platform, at) == [KEYS[2]]


@pytest.mark.slow
@pytest.mark.parametrize("asker", ["dagster/sensor_name", "dagster/schedule_name"])
def test_a_run_knows_whether_another_has_loaded_its_window_meanwhile(platform: Platform, asker: str) -> None:
    job, declaration = platform.definitions.resolve_job_def("flows_windows_job"), flows_windows(platform.settings)
    runs, first = WindowRuns(declaration, platform.instance), declaration.grid.from_key(KEYS[0])
    by_hand = platform.instance.create_run_for_job(job)
    asked = platform.instance.create_run_for_job(job, tags={asker: "flows"})
    assert not runs.is_loaded_since(first, runs.asked_at(asked) or 0)
    assert platform.run_windows(KEYS[0]).success
    assert runs.asked_at(by_hand) is None
    assert runs.is_loaded_since(first, runs.asked_at(asked) or 0)
    later = platform.instance.create_run_for_job(job, tags={asker: "flows"})
    assert not runs.is_loaded_since(first, runs.asked_at(later) or 0)


@pytest.mark.slow
def test_such_a_run_leaves_the_window(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {PARTITION: KEYS[0], "dagster/schedule_name": "flows_schedule"}
    before = datetime.now(UTC).timestamp()

    def loads() -> int:
        run = platform.run("flows_windows_job", tags)
        assert run.success
        return len(platform.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION))

    assert [loads(), loads()] == [3, 3]  # asked for after the last load
    monkeypatch.setattr(WindowRuns, "asked_at", lambda *_: before)  # as one that waited while the others ran
    assert loads() == 0


@pytest.mark.slow
def test_the_first_look_under_a_simulated_clock_begins_with_its_first_window(platform: Platform) -> None:
    settings = platform.settings.model_copy(update={"simulated_speed": 360.0, "simulated_start": START})
    declaration = replace(flows_windows(settings), clock=settings.clock)
    wall = START + timedelta(hours=21, minutes=21) / 360
    first = new_windows(declaration, platform.instance, platform.resources.fetch, wall, Cursor())
    assert requested(first) == KEYS[:7]


@pytest.mark.slow
def test_a_run_of_windows_plans_no_check_that_it_would_skip(platform: Platform) -> None:
    for name in ("flows_windows_job", "flows_reprocess_job"):
        assert [node.name for node in platform.definitions.resolve_job_def(name).nodes] == ["flows_windows"]
    run = platform.run_windows(KEYS[0])
    assert {name for _, name in platform.checks(run.run_id)} == {"rows_agree", "events_in_window", "keys_unique"}
