"""The lag of a table in typical situations: what is missing, since when, and why."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.lag import Windows, age_text, bits, lag_at, numbers, packed, unpacked
from flows_platform.domain.simulated_clock import SimulatedClock

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def calendar(end: datetime | None = None, grace: timedelta = 20 * MINUTE) -> Calendar:
    return Calendar(Cron.parse("0 */3 * * *").grid(START), end, grace)


def berlin(start: datetime) -> Calendar:
    return Calendar(Cron.parse("0 0 * * *").grid(start.replace(tzinfo=BERLIN).astimezone(UTC), BERLIN), None, HOUR)


NONE: frozenset[int] = frozenset()
ALL = frozenset(range(80))


@dataclass(frozen=True)
class Situation:
    """Window numbers by their state, an instant, and the expected lag."""

    loaded: frozenset[int]
    now: datetime
    age: timedelta
    missing: int
    failed: int = 0
    waiting: int = 0
    unconfirmed: int = 0
    attempted: frozenset[int] = NONE
    busy: frozenset[int] = NONE
    withheld: frozenset[int] = NONE
    calendar: Calendar = field(default_factory=calendar)


TEN_DAYS = START + 10 * DAY + 20 * MINUTE  # window 79 has just closed
SIMULATED = START + SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC), 360).elapsed(
    datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
)
SPRING, AUTUMN = datetime(2024, 3, 30), datetime(2024, 10, 26)  # noqa: DTZ001 - on Berlin's clock
SITUATIONS = {
    "never started": Situation(NONE, TEN_DAYS, 10 * DAY + 20 * MINUTE - 3 * HOUR, 80),
    "all loaded": Situation(ALL, TEN_DAYS, timedelta(0), 0),
    "40 behind": Situation(frozenset(range(40)), TEN_DAYS, 5 * DAY + 20 * MINUTE - 3 * HOUR, 40),
    "40 behind, the newest loaded": Situation(
        frozenset(range(40)) | {79}, TEN_DAYS, 5 * DAY + 20 * MINUTE - 3 * HOUR, 39
    ),
    "one hole in the middle": Situation(ALL - {30}, TEN_DAYS, 10 * DAY + 20 * MINUTE - 31 * 3 * HOUR, 1),
    "only the first is missing": Situation(ALL - {0}, TEN_DAYS, 10 * DAY + 20 * MINUTE - 3 * HOUR, 1),
    "only the last is missing": Situation(ALL - {79}, TEN_DAYS, 20 * MINUTE, 1),
    "every other is missing": Situation(frozenset(range(1, 80, 2)), TEN_DAYS, 10 * DAY + 20 * MINUTE - 3 * HOUR, 40),
    "failed ones": Situation(
        ALL - {60, 70, 79}, TEN_DAYS, 10 * DAY + 20 * MINUTE - 61 * 3 * HOUR, 3, failed=2, attempted=frozenset({60, 70})
    ),
    "failed and tried again": Situation(
        ALL - {60},
        TEN_DAYS,
        10 * DAY + 20 * MINUTE - 61 * 3 * HOUR,
        1,
        waiting=1,
        attempted=frozenset({60}),
        busy=frozenset({60}),
    ),
    "failed once, loaded since": Situation(ALL, TEN_DAYS, timedelta(0), 0, attempted=frozenset({60})),
    "queued": Situation(ALL - {78, 79}, TEN_DAYS, 3 * HOUR + 20 * MINUTE, 2, waiting=2, busy=frozenset({77, 78, 79})),
    "waiting for a confirmation, the old rows there": Situation(
        ALL, TEN_DAYS, timedelta(0), 0, unconfirmed=1, withheld=frozenset({50})
    ),
    "waiting for a confirmation, no rows there": Situation(
        ALL - {79},
        TEN_DAYS,
        20 * MINUTE,
        1,
        waiting=1,
        unconfirmed=1,
        withheld=frozenset({79}),
        attempted=frozenset({79}),
    ),
    "before the first window closes": Situation(NONE, START + 3 * HOUR + 19 * MINUTE, timedelta(0), 0),
    "before the start": Situation(NONE, START - DAY, timedelta(0), 0),
    "ended, within the grace": Situation(ALL - {79}, TEN_DAYS - MINUTE, timedelta(0), 0),
    "no grace": Situation(ALL - {79}, START + 10 * DAY, timedelta(0), 1, calendar=calendar(grace=timedelta(0))),
    "after the end, all loaded": Situation(
        frozenset(range(40)), TEN_DAYS, timedelta(0), 0, calendar=calendar(START + 5 * DAY)
    ),
    "after the end, the last missing": Situation(
        frozenset(range(39)), TEN_DAYS, 5 * DAY + 20 * MINUTE, 1, calendar=calendar(START + 5 * DAY)
    ),
    "loaded ahead of the clock": Situation(ALL, START + DAY, timedelta(0), 0),
    "a simulated clock, ten minutes at 360": Situation(frozenset(range(15)), SIMULATED, 60 * HOUR - 48 * HOUR, 4),
    "a day of 23 hours": Situation(
        frozenset({0}), datetime(2024, 4, 1, 12, tzinfo=UTC), 14 * HOUR, 1, calendar=berlin(SPRING)
    ),
    "a day of 25 hours": Situation(
        frozenset({0}), datetime(2024, 10, 28, 12, tzinfo=UTC), 13 * HOUR, 1, calendar=berlin(AUTUMN)
    ),
}


def known(situation: Situation) -> Windows:
    grid = situation.calendar.grid

    def of(chosen: frozenset[int]) -> int:
        return bits(grid, [grid.nth(number).key for number in chosen])

    return Windows(of(situation.loaded), of(situation.attempted), of(situation.busy), of(situation.withheld))


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_the_lag_is_the_truth(situation: Situation) -> None:
    lag = lag_at(situation.calendar, situation.now, known(situation))
    assert (lag.age, lag.missing.count) == (situation.age, situation.missing)
    assert (lag.failed.count, lag.waiting.count) == (situation.failed, situation.waiting)
    assert lag.never_started.count == situation.missing - situation.failed - situation.waiting
    assert lag.unconfirmed.count == situation.unconfirmed


def slow_lag(situation: Situation) -> timedelta:
    """The same by definition, one window at a time."""
    grid, newest = situation.calendar.grid, situation.calendar.last_closed(situation.now)
    closed = list(grid.between(grid.floor(grid.start), newest)) if newest else []
    missing = [window for number, window in enumerate(closed) if number not in situation.loaded]
    return situation.now - missing[0].end if missing else timedelta(0)


@given(
    st.frozensets(st.integers(0, 400)),
    st.datetimes(datetime(2024, 1, 1), datetime(2024, 12, 31)),  # noqa: DTZ001 - made UTC below
    st.sampled_from([calendar(), berlin(SPRING), berlin(AUTUMN), calendar(START + 9 * DAY, timedelta(0))]),
)
def test_the_lag_is_that_of_a_loop_over_all_windows(loaded: frozenset[int], now: datetime, calendar: Calendar) -> None:
    situation = Situation(loaded, now.replace(tzinfo=UTC), timedelta(0), 0, calendar=calendar)
    assert lag_at(calendar, situation.now, known(situation)).age == slow_lag(situation)


@given(st.sets(st.integers(0, 40_000)))
def test_a_set_of_windows_survives_its_text(chosen: set[int]) -> None:
    windows = sum(1 << number for number in chosen)
    assert unpacked(packed(windows)) == windows
    assert list(numbers(windows)) == sorted(chosen)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Atlantic/Azores"])
def test_each_window_has_its_number_and_key_also_where_clocks_change(zone: str) -> None:
    tz = ZoneInfo(zone)
    grid = Cron.parse("0 0 * * *").grid(datetime(2017, 1, 1, tzinfo=tz).astimezone(UTC), tz)
    window = grid.floor(grid.start)
    for number in range(800):
        assert (grid.number(window), grid.nth(number), grid.number_of_key(window.key)) == (number, window, number)
        window = grid.after(window)


def test_keys_that_name_no_window_of_the_grid_are_left_out() -> None:
    grid = calendar().grid
    strange = ["2024-01-01-01:00", "2023-12-31-21:00", "2024-1-1-3:00", "2024-01-01", "", "yesterday"]
    assert bits(grid, [*strange, "2024-01-01-03:00"]) == 0b10


@pytest.mark.parametrize(
    ("loaded", "age", "missing", "gone"),
    [
        (frozenset(range(20, 80)), timedelta(0), 0, 0),  # before the first one there was no table
        (frozenset({20, 30, 79}), timedelta(0), 0, 57),
        (ALL - {78, 79}, 3 * HOUR + 20 * MINUTE, 2, 0),
        (ALL - {30, 78, 79}, 3 * HOUR + 20 * MINUTE, 2, 1),
        (NONE, 20 * MINUTE, 1, 0),
    ],
)
def test_the_lag_of_a_snapshot_counts_from_its_newest_list(
    loaded: frozenset[int], age: timedelta, missing: int, gone: int
) -> None:
    situation = Situation(loaded, TEN_DAYS, age, missing, withheld=frozenset({10}))
    lag = lag_at(situation.calendar, situation.now, known(situation), snapshot=True)
    assert (lag.age, lag.missing.count, lag.gone) == (age, missing, gone)
    assert lag.unconfirmed.count == 0
    before = lag_at(situation.calendar, START, known(situation), snapshot=True)
    assert (before.missing.count, before.gone) == (0, 0)


def test_the_lag_of_a_snapshot_names_the_lists_that_are_gone() -> None:
    situation = Situation(frozenset({70, 79}), TEN_DAYS, timedelta(0), 0)
    assert str(lag_at(situation.calendar, situation.now, known(situation), snapshot=True)) == (
        "All closed windows are in the table: 72. The lists of 8 older windows were not fetched in time, and are gone."
    )


def test_the_lag_says_what_is_missing_and_why() -> None:
    situation = SITUATIONS["failed ones"]
    assert str(lag_at(situation.calendar, situation.now, known(situation))) == (
        "3 of 80 closed windows are not in the table; the oldest, 2024-01-08-12:00, ended 2 days 9 h ago. "
        "2 failed, 0 waiting, 1 never started."
    )
    kept = SITUATIONS["waiting for a confirmation, the old rows there"]
    assert str(lag_at(kept.calendar, kept.now, known(kept))) == (
        "All closed windows are in the table: 80. 1 is waiting for a confirmation."
    )
    many = lag_at(calendar(), TEN_DAYS, Windows())
    assert str(many.missing).endswith("2024-01-03-09:00 and 60 more")
    assert [age_text(age) for age in (59 * MINUTE, 5 * HOUR, 25 * HOUR)] == ["59 min", "5 h 0 min", "1 day 1 h"]
