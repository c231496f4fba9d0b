"""Cron schedules as windows: which forms are accepted, which are refused, and the same starts as in Dagster."""

from datetime import UTC, datetime, timedelta

import pytest
from dagster import TimeWindowPartitionsDefinition
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import KEY_FORMAT

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUNDAY = datetime(2023, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length", "offset"),
    [
        ("0 * * * *", HOUR, timedelta(0)),
        ("17 * * * *", HOUR, timedelta(minutes=17)),
        ("0 */1 * * *", HOUR, timedelta(0)),
        ("30 */6 * * *", 6 * HOUR, timedelta(minutes=30)),
        ("0 */24 * * *", DAY, timedelta(0)),
        ("5 23 * * *", DAY, timedelta(hours=23, minutes=5)),
        ("0 0 * * 0", 7 * DAY, timedelta(0)),
        ("15 4 * * 6", 7 * DAY, timedelta(days=6, hours=4, minutes=15)),
    ],
)
def test_the_forms_that_lay_windows(text: str, length: timedelta, offset: timedelta) -> None:
    cron = Cron.parse(text)
    assert (cron.length, cron.offset) == (length, offset)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@daily",
        "* * * * *",
        "*/5 * * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 */5 * * *",
        "0 */0 * * *",
        "0 */48 * * *",
        "0 0 1 * *",
        "0 0 * 1 *",
        "0 0 * * 7",
        "0 0 * * 1-5",
        "0 * * * 1",
        "0 */6 * * 1",
        "0 0,12 * * *",
        "0 0 * *",
        "0 0 * * * *",
        " 0 0 * * *",
        "0 0 * * *\n",
        "\u0660 0 * * *",
    ],
)
def test_what_lays_no_windows_of_equal_length_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="does not define windows of equal length"):
        Cron.parse(text)


SCHEDULES = st.one_of(
    st.integers(0, 59).map("{} * * * *".format),
    st.tuples(st.integers(0, 59), st.sampled_from([1, 2, 3, 4, 6, 8, 12])).map(
        lambda numbers: "{} */{} * * *".format(*numbers)
    ),
    st.tuples(st.integers(0, 59), st.integers(0, 23)).map(lambda numbers: "{} {} * * *".format(*numbers)),
    st.tuples(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6)).map(
        lambda numbers: "{} {} * * {}".format(*numbers)
    ),
)


@given(SCHEDULES)
def test_windows_in_utc_start_where_dagsters_do(text: str) -> None:
    cron = Cron.parse(text)
    grid = cron.grid(SUNDAY + cron.offset)
    end = SUNDAY + 30 * DAY
    theirs = TimeWindowPartitionsDefinition(start=grid.start, end=end, cron_schedule=text, fmt=KEY_FORMAT)
    last = grid.closed(end)
    assert [window.key for window in grid.between(grid.floor(grid.start), last)] == theirs.get_partition_keys()


@given(SCHEDULES, st.integers(1, 59))
def test_a_start_off_the_schedule_is_refused(text: str, minutes: int) -> None:
    cron = Cron.parse(text)
    with pytest.raises(ConfigurationError, match=r"does not match the cron schedule .* Move the start to a time"):
        cron.grid(SUNDAY + cron.offset + timedelta(minutes=minutes))
