"""When windows close, and which window the records have reached."""

from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron

START = datetime(2014, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CALENDAR = Calendar(Cron.parse("0 */3 * * *").grid(START), START + timedelta(days=1), 20 * MINUTE)


@pytest.mark.parametrize(
    ("now", "number"),
    [
        (START + 12 * HOUR + 19 * MINUTE, 2),
        (START + 12 * HOUR + 20 * MINUTE, 3),
        (START + 3 * HOUR + 19 * MINUTE, None),
        (datetime(2026, 1, 1, tzinfo=UTC), 7),
    ],
)
def test_a_window_closes_after_its_grace_up_to_the_end(now: datetime, number: int | None) -> None:
    assert CALENDAR.last_closed(now) == (None if number is None else CALENDAR.grid.nth(number))


@pytest.mark.parametrize(("newest", "number"), [(10 * HOUR, 3), (-HOUR, None), (None, None)])
def test_only_windows_that_the_records_have_reached_count(newest: timedelta | None, number: int | None) -> None:
    reached = CALENDAR.reached(datetime(2026, 1, 1, tzinfo=UTC), None if newest is None else START + newest)
    assert reached == (None if number is None else CALENDAR.grid.nth(number))


def test_all_windows_that_have_ended_up_to_the_end() -> None:
    grid = CALENDAR.grid
    assert [*CALENDAR.ended(START + 3 * HOUR - MINUTE)] == []
    assert [*CALENDAR.ended(START + 6 * HOUR)] == [grid.nth(0), grid.nth(1)]
    assert [*CALENDAR.ended(datetime(2026, 1, 1, tzinfo=UTC))] == [grid.nth(number) for number in range(8)]


def test_going_back_stops_at_the_first_window() -> None:
    grid = CALENDAR.grid
    assert CALENDAR.back_from(grid.nth(5), 2) == [grid.nth(3), grid.nth(4), grid.nth(5)]
    assert CALENDAR.back_from(grid.nth(1), 2) == [grid.nth(0), grid.nth(1)]
    assert CALENDAR.back_from(grid.nth(1), 0) == [grid.nth(1)]
