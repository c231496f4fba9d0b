"""Which windows run again after changes at the source, and up to which change all is dealt with."""

from datetime import UTC, datetime, timedelta

from flows_platform.domain.changed_windows import Change, ChangeCursor, changed_windows, windows_of
from flows_platform.domain.wanted_windows import RUNS_A_LOOK
from flows_platform.domain.windows import Window, WindowGrid

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRID = WindowGrid(START, HOUR)


def window(number: int) -> Window:
    return GRID.floor(START + number * HOUR)


def change(hour: float, number: int) -> Change:
    return Change(START + hour * HOUR, number, 0.0)


def test_changes_belong_to_their_windows_in_order() -> None:
    later, first = change(2.5, 9), change(2, 3)
    found = windows_of(GRID, [later, change(0, 5), first, change(-1, 7)])
    assert found == {window(2): [first, later], window(0): [change(0, 5)]}


def test_stale_windows_run_and_the_cursor_waits_for_them() -> None:
    changes = windows_of(GRID, [change(0, 3), change(1, 4), change(2, 5)])
    found = changed_windows(changes, 5, [window(1), window(2)], ())
    assert (found.run, found.number) == ({window(1): 4, window(2): 5}, 3)
    assert changed_windows(changes, 5, (), ()).number == 5
    assert changed_windows({}, 8, (), ()).number == 8


def test_a_change_stays_open_while_a_run_works_on_its_window() -> None:
    changes = windows_of(GRID, [change(0, 3), change(1, 4), change(1.5, 6), change(2, 5)])
    found = changed_windows(changes, 6, [window(1)], {window(1).key})
    assert (found.run, found.number) == ({}, 3)
    found = changed_windows(changes, 6, [window(1), window(2)], {window(1).key})
    assert (found.run, found.number) == ({window(2): 5}, 3)


def test_a_look_requests_some_runs_and_the_next_one_others() -> None:
    numbers = range(1, RUNS_A_LOOK + 3)
    changes = windows_of(GRID, [change(number, number) for number in numbers])
    found = changed_windows(changes, numbers[-1], list(changes), ())
    assert list(found.run.values()) == list(numbers[:RUNS_A_LOOK])
    assert found.number == 0


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = ChangeCursor("a1b2", 7)
    assert ChangeCursor.parse(cursor.render()) == cursor
    assert ChangeCursor.parse(None) == ChangeCursor()
