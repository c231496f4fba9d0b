"""Days in time zones: no instant is lost or counted twice when a clock changes, and the keys are Dagster's."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dagster import TimeWindowPartitionsDefinition
from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import KEY_FORMAT, Window, WindowGrid

DAY = timedelta(days=1)
# Sao Paulo skipped midnights, Havana and the Azores have them twice, St. John's put its clock back at 00:01, and
# Toronto once moved it from 23:30 to 00:30.
ZONES = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "America/Havana",
    "Atlantic/Azores",
    "America/St_Johns",
    "America/Toronto",
    "Asia/Beirut",
    "Australia/Lord_Howe",
]
FIRST = datetime(1918, 1, 6)  # noqa: DTZ001 - a Sunday, on the clock of every zone


def grid_of(zone: str, days: int = 1) -> WindowGrid:
    tz = ZoneInfo(zone)
    return WindowGrid(FIRST.replace(tzinfo=tz).astimezone(UTC), days * DAY, tz)


def as_utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)


INSTANTS = st.datetimes(datetime(1918, 2, 1), datetime(2036, 1, 1)).map(as_utc)  # noqa: DTZ001


@given(st.sampled_from(ZONES), st.sampled_from([1, 7]), INSTANTS)
@example("America/Sao_Paulo", 1, datetime(2018, 11, 4, 2, 59, 59, tzinfo=UTC))
@example("America/Sao_Paulo", 1, datetime(2018, 11, 4, 3, tzinfo=UTC))
@example("America/Havana", 1, datetime(2019, 11, 3, 5, 30, tzinfo=UTC))
@example("America/St_Johns", 1, datetime(2008, 11, 2, 2, 30, 30, tzinfo=UTC))
@example("America/St_Johns", 1, datetime(2008, 11, 2, 3, 0, tzinfo=UTC))
@example("America/Toronto", 1, datetime(1919, 3, 31, 4, 45, tzinfo=UTC))
@example("Europe/Berlin", 1, datetime(2018, 3, 25, 1, 0, tzinfo=UTC))
def test_each_instant_is_in_one_window_whose_neighbours_touch_it(zone: str, days: int, instant: datetime) -> None:
    grid = grid_of(zone, days)
    window = grid.floor(instant)
    assert instant in window
    assert grid.from_key(window.key) == window
    before, after = grid.before(window), grid.after(window)
    assert (before.end, window.end) == (window.start, after.start)
    assert [grid.floor(edge) for edge in (window.start, window.end - timedelta(microseconds=1))] == [window, window]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("days", "cron"), [(1, "0 0 * * *"), (7, "0 0 * * 0")])
@pytest.mark.parametrize("year", [1919, 2008, 2018, 2019])
def test_keys_are_those_of_dagster(zone: str, days: int, cron: str, year: int) -> None:
    grid, tz = grid_of(zone, days), ZoneInfo(zone)
    first = grid.floor(datetime(year, 1, 10, tzinfo=UTC))
    end = datetime(year + 1, 1, 10, tzinfo=UTC)
    theirs = TimeWindowPartitionsDefinition(
        start=first.key, end=end.astimezone(tz), cron_schedule=cron, timezone=zone, fmt=KEY_FORMAT
    )
    ours = list(grid.between(first, grid.closed(end)))
    assert [window.key for window in ours] == theirs.get_partition_keys()
    assert all(left.end == right.start for left, right in pairwise(ours))
    assert {window.key[-5:] for window in ours} == {"00:00"}


def test_a_day_lasts_as_long_as_its_clock_says() -> None:
    berlin = grid_of("Europe/Berlin")
    lengths = [berlin.from_key(f"{day}-00:00") for day in ("2018-03-25", "2018-10-28", "2018-07-01")]
    assert [(day.end - day.start) // timedelta(hours=1) for day in lengths] == [23, 25, 24]
    skipped = grid_of("America/Sao_Paulo").from_key("2018-11-04-00:00")
    assert (skipped.start, skipped.end - skipped.start) == (
        datetime(2018, 11, 4, 3, tzinfo=UTC),
        timedelta(hours=23),
    )


@pytest.mark.parametrize(
    "key", ["2018-11-04-01:00", "2018-11-4-00:00", "9999-12-31-00:00", "0001-01-01-00:00", "2018-11-04-00:00 "]
)
def test_no_window_has_two_keys_and_none_reaches_past_the_calendar(key: str) -> None:
    with pytest.raises(ConfigurationError, match="does not name a window"):
        grid_of("America/Sao_Paulo").from_key(key)


def test_other_windows_than_whole_days_from_midnight_need_utc() -> None:
    berlin, start = ZoneInfo("Europe/Berlin"), datetime(2023, 1, 1, 0, tzinfo=UTC)
    for refused in ("0 * * * *", "0 1 * * *"):
        with pytest.raises(ConfigurationError, match="Europe/Berlin: a time zone other than UTC needs whole days"):
            Cron.parse(refused).grid(start, berlin)
        assert Cron.parse("0 * * * *").grid(start, ZoneInfo("Etc/UTC")).floor(start).key == "2023-01-01-00:00"


@given(
    INSTANTS,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
    st.timedeltas(timedelta(hours=1), timedelta(days=120)) | st.none(),
)
def test_pieces_tile_their_window(start: datetime, length: timedelta, longest: timedelta | None) -> None:
    window = Window(start, start + length, ZoneInfo("Europe/Berlin"))
    pieces = list(window.pieces(longest))
    assert (pieces[0].start, pieces[-1].end) == (window.start, window.end)
    assert all(left.end == right.start for left, right in pairwise(pieces))
    assert all(piece.end - piece.start <= (longest or length) for piece in pieces)
    assert all(piece.end - piece.start == longest for piece in pieces[:-1])


def test_midnight_is_the_first_of_two() -> None:
    day = grid_of("America/Havana").from_key("2019-11-03-00:00")
    first = datetime.combine(datetime(2019, 11, 3, tzinfo=UTC).date(), time(), ZoneInfo("America/Havana"))
    assert (day.start, day.end - day.start) == (first.astimezone(UTC), timedelta(hours=25))
