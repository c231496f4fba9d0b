"""Which windows need a run: every reason alone, several together, their order, and what is left out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.lag import packed
from flows_platform.domain.wanted_windows import (
    RUNS_A_LOOK,
    Cursor,
    Failures,
    Reason,
    SourceState,
    TableState,
    candidates,
    pause_after,
    wanted_windows,
    worth_asking,
)
from flows_platform.domain.windows import Window

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CALENDAR = Calendar(Cron.parse("0 */3 * * *").grid(START), None, 20 * MINUTE)


def window(number: int) -> Window:
    return CALENDAR.grid.nth(number)


def key(number: int) -> str:
    return window(number).key


def closed(number: int) -> datetime:
    """The time at which the window with that number has just closed."""
    return window(number).end + CALENDAR.grace


LOADED = frozenset(key(number) for number in range(10))
# A sensor that requested windows 0 to 9, all of them loaded with 5 records; a schedule at whose tick window 9 closes.
SENSOR = TableState(
    CALENDAR, 2, Cursor(50, key(9), key(9)), loaded=LOADED, received=dict.fromkeys(map(window, range(10)), 5)
)
SCHEDULE = TableState(CALENDAR, 2, Cursor(last=key(8)), by_clock=True, received=dict.fromkeys(map(window, range(9)), 5))
NOW = closed(9)
SOURCE = SourceState(NOW, 50)
FAILED = Failures(1, NOW - MINUTE)


def run(state: TableState, source: SourceState, now: datetime = NOW) -> list[tuple[int, Reason]]:
    """The numbers of the windows to run, with their reasons."""
    wanted = wanted_windows(state, source, now).run
    return [(CALENDAR.grid.number(found), reason) for found, reason in wanted.items()]


@pytest.mark.parametrize(
    ("state", "source", "expected"),
    [
        (SENSOR, SOURCE, []),
        (SENSOR, replace(SOURCE, records=51, counts={window(8): 6, window(9): 5}), [(8, Reason.COUNT_CHANGED)]),
        (SENSOR, replace(SOURCE, records=51), []),  # the source does not count windows
        (replace(SENSOR, received={}), replace(SOURCE, records=51), [(n, Reason.NOT_LOADED) for n in (7, 8, 9)]),
        (replace(SENSOR, received={}), SOURCE, []),  # no record came
        (
            replace(SENSOR, cursor=Cursor(50, key(9), key(4)), loaded=LOADED - {key(4)}, failures={window(4): FAILED}),
            SOURCE,
            [(4, Reason.FAILED)],
        ),
        (replace(SENSOR, confirmable=[window(3)]), SOURCE, [(3, Reason.UNCONFIRMED)]),
        (SENSOR, replace(SOURCE, differing=[window(3)]), [(3, Reason.DIFFERS)]),
        (SCHEDULE, SOURCE, [(7, Reason.LOOK_BACK), (8, Reason.LOOK_BACK), (9, Reason.CLOSED)]),
        (SCHEDULE, replace(SOURCE, counts={window(7): 5, window(8): 5}), [(9, Reason.CLOSED)]),
        (
            SCHEDULE,
            replace(SOURCE, counts={window(7): 5, window(8): 4}),
            [(8, Reason.COUNT_CHANGED), (9, Reason.CLOSED)],
        ),
        (
            replace(SCHEDULE, received={window(8): 5, window(9): 5}),
            replace(SOURCE, counts={window(8): 5, window(9): 5}),
            [(7, Reason.NOT_LOADED)],
        ),
    ],
)
def test_each_reason_by_itself(state: TableState, source: SourceState, expected: list[tuple[int, Reason]]) -> None:
    assert run(state, source) == expected


def test_a_sensor_requests_what_closed_since_as_far_as_the_records_reach() -> None:
    now = closed(14)
    assert run(SENSOR, replace(SOURCE, newest=now), now) == [(n, Reason.CLOSED) for n in range(10, 15)]
    assert run(SENSOR, replace(SOURCE, newest=window(11).start + MINUTE), now) == [
        (10, Reason.CLOSED),
        (11, Reason.CLOSED),
    ]
    assert run(SENSOR, replace(SOURCE, newest=None), now) == []
    assert run(SENSOR, SOURCE, closed(10) - MINUTE) == []  # it ended, and the grace is not over


@pytest.mark.parametrize(
    ("first", "numbers"),
    [(TableState(CALENDAR, 2), [7, 8, 9]), (TableState(CALENDAR, 2, from_start=True), list(range(10)))],
)
def test_the_first_look_begins_with_the_newest_windows_or_with_the_first(first: TableState, numbers: list[int]) -> None:
    assert run(first, SOURCE) == [(number, Reason.CLOSED) for number in numbers]
    assert wanted_windows(first, SOURCE, NOW).cursor == Cursor(50, key(9), key(numbers[0]))


def test_a_schedule_requests_nothing_where_no_window_closed() -> None:
    state = replace(SCHEDULE, cursor=Cursor(last=key(9)))
    assert candidates(state, NOW) == []
    assert run(state, SOURCE) == []
    ended = replace(SCHEDULE, calendar=replace(CALENDAR, end=window(8).end))
    assert candidates(ended, NOW) == []


def test_the_look_back_of_a_schedule_ends_at_the_first_window() -> None:
    state = TableState(CALENDAR, 2, Cursor(last=CALENDAR.grid.before(window(0)).key), by_clock=True)
    assert run(state, SourceState(closed(0)), closed(0)) == [(0, Reason.CLOSED)]


SNAPSHOT = replace(SENSOR, look_back=0, snapshot=True, pause=5 * MINUTE)


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        (SNAPSHOT, closed(9), []),
        (SNAPSHOT, closed(10), [(10, Reason.CLOSED)]),
        (SNAPSHOT, closed(80), [(80, Reason.CLOSED)]),  # after a long pause: the lists in between are gone
        (replace(SNAPSHOT, cursor=Cursor()), closed(9), [(9, Reason.CLOSED)]),
        (replace(SNAPSHOT, from_start=True, cursor=Cursor()), closed(9), [(9, Reason.CLOSED)]),
        (replace(SNAPSHOT, loaded=LOADED - {key(9)}, failures={window(9): FAILED}), NOW, []),  # it pauses
        (
            replace(SNAPSHOT, loaded=LOADED - {key(9)}, failures={window(9): FAILED}),
            NOW + HOUR,
            [(9, Reason.FAILED)],
        ),
        (
            replace(SNAPSHOT, loaded=LOADED - {key(9)}, failures={window(9): FAILED}),
            closed(10),
            [(10, Reason.CLOSED)],
        ),
        (replace(SNAPSHOT, confirmable=[window(3)]), NOW, []),
        (replace(SNAPSHOT, confirmable=[window(9)]), NOW, [(9, Reason.UNCONFIRMED)]),
        (replace(SNAPSHOT, by_clock=True, cursor=Cursor(last=key(8)), received={}), NOW, [(9, Reason.CLOSED)]),
    ],
)
def test_of_a_snapshot_only_the_newest_window_is_requested(
    state: TableState, now: datetime, expected: list[tuple[int, Reason]]
) -> None:
    assert run(state, replace(SOURCE, newest=now), now) == expected
    differing = replace(SOURCE, newest=now, differing=[window(3)])
    assert run(state, differing, now) == expected


TOGETHER = replace(
    SENSOR,
    cursor=Cursor(50, key(9), key(2)),
    loaded=LOADED - {key(2), key(8)},
    failures={window(2): FAILED, window(8): FAILED},
    confirmable=[window(7)],
    pause=MINUTE,
)
BUSY_SOURCE = SourceState(closed(10), 60, {window(8): 9, window(9): 9}, [window(0), window(7)])
ALL_REASONS = [
    (0, Reason.DIFFERS),
    (2, Reason.FAILED),
    (7, Reason.UNCONFIRMED),
    (8, Reason.FAILED),
    (9, Reason.COUNT_CHANGED),
    (10, Reason.CLOSED),
]


def test_reasons_together_come_oldest_first_and_the_later_one_counts() -> None:
    assert run(TOGETHER, BUSY_SOURCE, closed(10)) == ALL_REASONS
    assert wanted_windows(TOGETHER, BUSY_SOURCE, closed(10)).cursor == Cursor(60, key(10), key(2), packed(0b101000001))


@pytest.mark.parametrize("number", [0, 2, 7, 8, 9, 10])
def test_a_window_that_a_run_is_on_is_left_out_whatever_the_reason(number: int) -> None:
    found = run(replace(TOGETHER, running={key(number)}), BUSY_SOURCE, closed(10))
    assert found == [pair for pair in ALL_REASONS if pair[0] != number]


@pytest.mark.parametrize(("failures", "pause"), [(1, 1), (2, 2), (3, 4), (9, 180)])
@pytest.mark.parametrize("reason", ["overdue", "changed", "confirmable"])
def test_a_failed_window_pauses_whatever_the_reason(failures: int, pause: int, reason: str) -> None:
    number = {"overdue": 2, "changed": 9, "confirmable": 7}[reason]
    state = replace(TOGETHER, failures={window(number): Failures(failures, NOW)})
    for minutes, is_asked in ((pause - 1, False), (pause, True)):
        found = run(state, BUSY_SOURCE, NOW + minutes * MINUTE)
        assert (number in [asked for asked, _ in found]) is is_asked


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause_after(count, MINUTE, 5 * MINUTE) // MINUTE for count in range(5)] == [0, 1, 2, 4, 5]


def test_a_window_of_a_month_pauses_for_a_day_at_most() -> None:
    calendar = Calendar(Cron.parse("0 0 1 * *").grid(START), None, 20 * MINUTE)
    january = calendar.grid.nth(0)
    state = TableState(calendar, 0, Cursor(5, january.key, january.key), pause=MINUTE)
    for days, is_requested in ((0.9, False), (1, True)):
        now = january.end + timedelta(days=7)
        state = replace(state, failures={january: Failures(14, now - timedelta(days=days))})
        assert (january in wanted_windows(state, SourceState(now, 5), now).run) is is_requested


def test_windows_that_were_requested_and_are_not_loaded_are_not_forgotten() -> None:
    state = replace(SENSOR, cursor=Cursor(50, key(9), key(4)), loaded=LOADED - {key(3), key(5), key(9)})
    wanted = wanted_windows(state, SOURCE, NOW)
    assert wanted.overdue == 2  # what is before the cursor's first is not a sensor's
    assert wanted.run == {}  # their runs have not failed
    assert wanted.cursor == Cursor(50, key(9), key(5), packed(0b10001))
    again = wanted_windows(replace(state, cursor=wanted.cursor, loaded={key(9)}), SOURCE, NOW)
    assert (again.overdue, again.cursor) == (1, Cursor(50, key(9), key(5), packed(1)))
    assert wanted_windows(replace(state, loaded=LOADED), SOURCE, NOW).cursor == Cursor(50, key(9), key(9))
    assert wanted_windows(replace(state, cursor=Cursor(50, key(9))), SOURCE, NOW).overdue == 1


def test_more_than_a_look_requests_is_left_to_the_next_one() -> None:
    now = closed(99)
    source = SourceState(now, 50)
    first = wanted_windows(SENSOR, source, now)
    assert list(first.run) == [window(number) for number in range(10, 10 + RUNS_A_LOOK)]
    assert first.cursor == Cursor(50, key(9 + RUNS_A_LOOK), key(10))
    # Older windows go first, and the newest ones are requested by the next look.
    second = wanted_windows(replace(SENSOR, confirmable=[window(0), window(1)]), source, now)
    assert list(second.run)[:3] == [window(0), window(1), window(10)]
    assert second.cursor.last == list(second.run)[-1].key == key(7 + RUNS_A_LOOK)


def test_only_counts_that_decide_are_asked_for() -> None:
    assert worth_asking(SENSOR, NOW) == [window(7), window(8), window(9)]
    assert worth_asking(replace(SENSOR, running={key(8)}, confirmable=[window(9)]), NOW) == [window(7)]
    assert worth_asking(SCHEDULE, NOW) == [window(7), window(8)]
    assert worth_asking(replace(SCHEDULE, received={window(9): 1}), NOW) == [window(9)]
    assert worth_asking(TableState(CALENDAR, 2), NOW) == []


def test_cursors_of_existing_instances_are_read() -> None:
    assert Cursor.parse(None) == Cursor()
    assert Cursor.parse('{"records": 5, "last": "2024-01-01-00:00"}') == Cursor(5, "2024-01-01-00:00")
    assert Cursor.parse(Cursor(5, "b", "a").render()) == Cursor(5, "b", "a")
