"""The ranges of a full load: they tile the time, newest first, and halve to minutes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.windows import Window
from flows_platform.sources.nvd_cves.full_load import LEAST, halves, ranges

START = datetime(2002, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=120)
INSTANTS = st.datetimes(datetime(2002, 1, 1, 0, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside it


@given(INSTANTS)
def test_they_tile_the_time_newest_first(until: datetime) -> None:
    found = list(ranges(START, until, LONGEST))
    assert (found[0].end, found[-1].start) == (until, START)
    assert all(newer.start == older.end for newer, older in pairwise(found))
    assert all(window.end - window.start <= LONGEST for window in found)
    assert [window for window in found if window.start.time() != START.time()] == []
    newest = [window for window in found if until - window.start < timedelta(days=30)]
    assert all(window.end - window.start <= timedelta(days=1) for window in newest)


@given(INSTANTS, st.timedeltas(LEAST + timedelta(milliseconds=1), LONGEST))
def test_halves_meet_on_a_minute(instant: datetime, length: timedelta) -> None:
    start = instant.replace(second=0, microsecond=0)
    newer, older = halves(Window(start, start + length))
    assert (older.start, older.end, newer.end) == (start, newer.start, start + length)
    assert newer.start == newer.start.replace(second=0, microsecond=0)
