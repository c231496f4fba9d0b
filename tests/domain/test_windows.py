"""Window arithmetic: windows tile time without gap or overlap, and so do their API parameters."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import TimeBounds, Window, WindowGrid, bounds_since

EPOCH = datetime(2014, 1, 1, tzinfo=UTC)
GRID = WindowGrid(EPOCH, timedelta(hours=3))
INSTANTS = st.datetimes(datetime(2014, 1, 1), datetime(2030, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001


def test_the_first_window_asks_from_second_0_without_a_lower_bound() -> None:
    bounds = bounds_since(EPOCH, GRID.floor(EPOCH))
    assert bounds == TimeBounds(after=None, before=10799)
    assert (bounds.first, 0 in bounds, 10799 in bounds, 10800 in bounds) == (0, True, True, False)


def test_adjacent_windows_share_no_second_and_miss_none() -> None:
    first, second = (
        bounds_since(EPOCH, window) for window in GRID.between(GRID.floor(EPOCH), GRID.from_key("2014-01-01-03:00"))
    )
    assert second == TimeBounds(after=10799, before=21599)
    assert [second_ in first for second_ in (10799, 10800)] == [True, False]
    assert [second_ in second for second_ in (10799, 10800)] == [False, True]


@given(st.integers(0, 58 * 86400 - 1))
def test_each_second_is_in_exactly_one_window(second: int) -> None:
    home = GRID.floor(EPOCH + timedelta(seconds=second))
    neighbours = GRID.between(
        GRID.floor(home.start - timedelta(hours=3)) if second >= 10800 else home, GRID.floor(home.end)
    )
    assert [window for window in neighbours if second in bounds_since(EPOCH, window)] == [home]


@given(INSTANTS)
def test_floor_holds_the_instant_and_keys_lead_back(instant: datetime) -> None:
    window = GRID.floor(instant)
    assert instant in window
    assert GRID.from_key(window.key) == window


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=1)))
def test_the_last_closed_window_ended_before_the_grace_and_the_next_did_not(now: datetime, grace: timedelta) -> None:
    window = GRID.closed(now, grace=grace)
    assert window.end + grace <= now < GRID.after(window).end + grace


@pytest.mark.parametrize(
    "key", ["", "2014-01-01", "2014-01-01-01:00", "2014-01-01-00:30", "yesterday", "2014-13-01-00:00"]
)
def test_a_key_that_names_no_window_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="does not name a window"):
        GRID.from_key(key)


def test_windows_before_the_epoch_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="FLOWS_EPOCH"):
        bounds_since(EPOCH + timedelta(hours=1), GRID.floor(EPOCH))


def test_bounds_must_be_utc_and_in_order() -> None:
    with pytest.raises(ValueError, match="UTC"):
        Window(datetime(2014, 1, 1), datetime(2014, 1, 2))  # noqa: DTZ001
    with pytest.raises(ValueError, match="before it ends"):
        Window(EPOCH, EPOCH)
