"""The windows that a sensor goes on checking: a share at each look, all of them in turn, as a text for its cursor."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.domain.cron import Cron
from flows_platform.domain.unloaded_windows import CHECKED_A_LOOK, Unloaded

GRID = Cron.parse("*/15 * * * *").grid(datetime(2016, 1, 1, tzinfo=UTC))
TEN_YEARS = 350_000  # windows of a quarter of an hour


def key(number: int) -> str:
    return GRID.nth(number).key


def bits(numbers: set[int]) -> int:
    return sum(1 << number for number in numbers)


def carried(unloaded: Unloaded, last: int) -> Unloaded:
    """As the next look reads it from the cursor."""
    text = unloaded.text(key(last))
    return Unloaded.between(GRID, unloaded.first or key(last), key(last), text, unloaded.going_on)


@given(st.sets(st.integers(0, 2_000), min_size=1), st.integers(0, 100))
def test_a_cursor_says_the_same_windows(numbers: set[int], more: int) -> None:
    last = max(numbers) + more
    unloaded = Unloaded(GRID, bits(numbers))
    again = carried(unloaded, last)
    assert (again.windows, again.first, again.start) == (unloaded.windows, key(min(numbers)), 0)
    assert unloaded.text(key(last)) == "" or len(numbers) < last - min(numbers) + 1


@given(st.sets(st.integers(0, 5_000), min_size=1), st.sets(st.integers(0, 5_000)))
@example({*range(0, 5_000, 3)}, {*range(0, 5_000, 7)})
@example({*range(5_000)}, {*range(2, 5_000)})
def test_in_turn_each_window_is_checked_and_the_loaded_ones_leave(numbers: set[int], in_table: set[int]) -> None:
    unloaded, checked = Unloaded(GRID, bits(numbers)), set()
    loaded = {key(number) for number in in_table}
    for _ in range(-(-len(numbers) // CHECKED_A_LOOK)):
        share = unloaded.share
        assert len(share) <= CHECKED_A_LOOK
        checked |= {GRID.number(window) for window in share}
        unloaded = carried(unloaded.after(loaded, []), 5_000) if numbers - in_table else unloaded.after(loaded, [])
    assert checked == numbers
    assert unloaded.windows == bits(numbers - in_table)
    assert unloaded.start == 0


def test_a_few_are_checked_by_every_look_and_new_ones_too() -> None:
    unloaded = Unloaded(GRID, bits({3, 7}))
    for last in range(10, 20):
        unloaded = carried(unloaded.after((), [GRID.nth(last)]), last)
        assert [GRID.number(window) for window in unloaded.share] == [3, 7, *range(10, last + 1)]
    assert unloaded.count == 12


def test_ten_years_of_quarters_of_an_hour_have_a_short_cursor() -> None:
    gapless = Unloaded(GRID, (1 << TEN_YEARS) - 1)
    assert (gapless.text(key(TEN_YEARS - 1)), gapless.count, len(gapless.share)) == ("", TEN_YEARS, CHECKED_A_LOOK)
    one_missing = gapless.after({key(0), key(5)}, [])
    text = one_missing.text(key(TEN_YEARS - 1))
    assert (one_missing.count, one_missing.going_on) == (TEN_YEARS - 2, key(CHECKED_A_LOOK))
    assert len(text) < 200
    assert carried(one_missing, TEN_YEARS - 1) == one_missing


def test_a_cursor_of_other_windows_says_none() -> None:
    assert Unloaded.between(GRID, "2024-01-01-00:07", "2024-01-01-00:07").share == []
    assert Unloaded.between(GRID, "", "").share == []
