"""Cron schedules as windows: which forms are accepted, which are refused, and the same starts as in Dagster."""

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dagster import TimeWindowPartitionsDefinition
from dagster._utils.schedules import cron_string_iterator
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.cron import MINUTES, Cron, clock_change
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.window_length import Months, WindowLength, longest, moved
from flows_platform.domain.windows import KEY_FORMAT, WindowGrid

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SUNDAY, JANUARY = datetime(1970, 1, 4), datetime(1970, 1, 1)  # noqa: DTZ001 - on the zone's clock


@pytest.mark.parametrize(
    ("text", "length", "first"),
    [
        ("*/15 * * * *", 15 * MINUTE, SUNDAY),
        ("7-59/15 * * * *", 15 * MINUTE, SUNDAY + 7 * MINUTE),
        ("*/2 * * * *", 2 * MINUTE, SUNDAY),
        ("29-59/30 * * * *", 30 * MINUTE, SUNDAY + 29 * MINUTE),
        ("0 * * * *", HOUR, SUNDAY),
        ("17 * * * *", HOUR, SUNDAY + 17 * MINUTE),
        ("0 */1 * * *", HOUR, SUNDAY),
        ("30 */6 * * *", 6 * HOUR, SUNDAY + 30 * MINUTE),
        ("0 */24 * * *", DAY, SUNDAY),
        ("5 23 * * *", DAY, SUNDAY + 23 * HOUR + 5 * MINUTE),
        ("0 0 * * 0", 7 * DAY, SUNDAY),
        ("15 4 * * 6", 7 * DAY, SUNDAY + 6 * DAY + 4 * HOUR + 15 * MINUTE),
        ("0 0 1 * *", Months(1), JANUARY),
        ("30 6 28 * *", Months(1), JANUARY + 27 * DAY + 6 * HOUR + 30 * MINUTE),
        ("0 0 1 */3 *", Months(3), JANUARY),
        ("0 0 1 4 *", Months(12), datetime(1970, 4, 1)),  # noqa: DTZ001 - as above
    ],
)
def test_the_forms_that_lay_windows(text: str, length: WindowLength, first: datetime) -> None:
    cron = Cron.parse(text)
    assert (cron.length, cron.first) == (length, first)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@daily",
        "* * * * *",
        "*/1 * * * *",
        "*/0 * * * *",
        "*/7 * * * *",
        "*/60 * * * *",
        "*/90 * * * *",
        "15-59/15 * * * *",
        "0-45/15 * * * *",
        "0,30 * * * *",
        "*/15 8 * * *",
        "*/15 * * * 1",
        "60 * * * *",
        "0 24 * * *",
        "0 */5 * * *",
        "0 */0 * * *",
        "0 */48 * * *",
        "0 0 0 * *",
        "0 0 29 * *",
        "0 0 31 * *",
        "0 0 1 */5 *",
        "0 0 1 */0 *",
        "0 0 1 13 *",
        "0 0 1 * 1",
        "0 * 1 * *",
        "0 0 * 1 *",
        "0 0 1,15 * *",
        "0 0 L * *",
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
def test_another_form_is_refused_and_all_forms_are_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="does not define windows") as refused:
        Cron.parse(text)
    forms = ("*/N * * * *", "M-59/N * * * *", "M * * * *", "M */N * * *", "M H * * *", "M H * * D", "M H D * *")
    assert all(f"`{form}`" in str(refused.value) for form in (*forms, "M H D */N *", "M H D N *"))


MINUTES_OF_AN_HOUR, HOURS_OF_A_DAY = st.integers(0, 59), st.integers(0, 23)
TIMES = st.tuples(MINUTES_OF_AN_HOUR, HOURS_OF_A_DAY)
STEPS_OF_MINUTES = st.sampled_from(sorted(MINUTES))
MONTH_FIELDS = st.one_of(st.sampled_from(["*", "*/2", "*/3", "*/4", "*/6"]), st.integers(1, 12).map(str))
SCHEDULES = st.one_of(
    STEPS_OF_MINUTES.map("*/{} * * * *".format),
    STEPS_OF_MINUTES.flatmap(lambda step: st.integers(0, step - 1).map(lambda first: f"{first}-59/{step} * * * *")),
    MINUTES_OF_AN_HOUR.map("{} * * * *".format),
    st.tuples(MINUTES_OF_AN_HOUR, st.sampled_from([1, 2, 3, 4, 6, 8, 12])).map(
        lambda numbers: "{} */{} * * *".format(*numbers)
    ),
    TIMES.map(lambda numbers: "{} {} * * *".format(*numbers)),
    st.tuples(TIMES, st.integers(0, 6)).map(lambda given: f"{given[0][0]} {given[0][1]} * * {given[1]}"),
    st.tuples(TIMES, st.integers(1, 28), MONTH_FIELDS).map(
        lambda given: f"{given[0][0]} {given[0][1]} {given[1]} {given[2]} *"
    ),
)


def grid_since(text: str, year: int, zone: tzinfo = UTC) -> WindowGrid:
    """The windows from the first one on that starts in the year."""
    cron = Cron.parse(text)
    clock = cron.first
    if isinstance(cron.length, Months):
        clock = clock.replace(year=year)
    else:
        clock += -((clock - datetime(year, 1, 1)) // cron.length) * cron.length  # noqa: DTZ001 - as above
    return cron.grid(clock.replace(tzinfo=zone).astimezone(UTC), zone)


def theirs(text: str, grid: WindowGrid, end: datetime) -> list[str]:
    """Dagster's keys."""
    partitions = TimeWindowPartitionsDefinition(
        start=grid.start.astimezone(grid.zone),
        end=end.astimezone(grid.zone),
        cron_schedule=text,
        fmt=KEY_FORMAT,
        timezone=str(grid.zone),
    )
    return list(partitions.get_partition_keys())


@given(SCHEDULES, st.integers(1972, 2023))
def test_windows_in_utc_start_where_dagsters_do(text: str, year: int) -> None:
    grid = grid_since(text, year)
    end = grid.start + min(300 * longest(grid.length), timedelta(days=1200))
    ours = list(grid.between(grid.nth(0), grid.closed(end)))
    assert [window.key for window in ours] == theirs(text, grid, end)
    assert all(left.end == right.start for left, right in pairwise(ours))
    assert [grid.number(window) for window in ours] == [*range(len(ours))]
    assert [grid.number_of_key(window.key) for window in ours] == [*range(len(ours))]


@pytest.mark.parametrize(
    ("text", "years", "number"), [("*/15 * * * *", 1, 35_136), ("7-59/15 * * * *", 1, 35_136), ("0 0 1 * *", 50, 600)]
)
def test_a_long_row_of_windows_is_dagsters(text: str, years: int, number: int) -> None:
    grid = grid_since(text, 2024 if years == 1 else 1972)
    end = moved(grid.start.replace(tzinfo=None), Months(12), years).replace(tzinfo=UTC)
    ours = [window.key for window in grid.between(grid.nth(0), grid.closed(end))]
    assert len(ours) == number
    assert ours == theirs(text, grid, end)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Sao_Paulo", "America/New_York", "Asia/Beirut", "America/Havana"]
)
@pytest.mark.parametrize("text", ["0 0 1 * *", "0 0 15 * *", "0 0 28 * *", "0 0 1 */3 *", "0 0 1 10 *"])
def test_months_of_a_zone_start_where_dagsters_do(text: str, zone: str) -> None:
    grid = grid_since(text, 1980, ZoneInfo(zone))
    end = datetime(2025, 1, 1, tzinfo=UTC)
    ours = list(grid.between(grid.nth(0), grid.closed(end)))
    assert [window.key for window in ours] == theirs(text, grid, end)
    assert all(left.end == right.start for left, right in pairwise(ours))
    edges = [(window, instant) for window in ours for instant in (window.start, window.end - timedelta(microseconds=1))]
    assert all(grid.floor(instant) == window for window, instant in edges)
    assert [grid.number_of_key(window.key) for window in ours] == [*range(len(ours))]


@given(SCHEDULES, st.integers(1, 59), st.integers(1972, 2023))
def test_a_start_off_the_schedule_is_refused(text: str, seconds: int, year: int) -> None:
    grid, cron = grid_since(text, year), Cron.parse(text)
    for start in (grid.start + timedelta(seconds=seconds), grid.start + longest(grid.length) / 2 + MINUTE / 2):
        with pytest.raises(ConfigurationError, match=r"does not match the cron schedule .* Move the start to a time"):
            cron.grid(start)


def test_a_month_starts_on_its_day_alone() -> None:
    cron = Cron.parse("0 0 1 */3 *")
    for start in (
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 1, 2, tzinfo=UTC),
        datetime(2024, 1, 31, tzinfo=UTC),
    ):
        with pytest.raises(ConfigurationError, match="does not match the cron schedule"):
            cron.grid(start)
    assert [cron.grid(datetime(2024, 4, 1, tzinfo=UTC)).nth(number).key[:10] for number in (-1, 0, 3)] == [
        "2024-01-01",
        "2024-04-01",
        "2025-01-01",
    ]


GRACES = st.sampled_from([0, 1, 14, 20, 90, 200, 24 * 60, 5 * 24 * 60, 70 * 24 * 60]).map(lambda given: given * MINUTE)
ZONES = [None, "Europe/Berlin", "America/Sao_Paulo", "America/New_York", "Asia/Beirut"]


@given(SCHEDULES, GRACES)
def test_each_tick_of_the_schedule_closes_one_window(text: str, grace: timedelta) -> None:
    ticks_close_one_each(grid_since(text, 2018), Cron.parse(text), grace)


@given(
    st.tuples(st.integers(1, 28), MONTH_FIELDS).map(lambda given: f"0 0 {given[0]} {given[1]} *"),
    GRACES,
    st.sampled_from(ZONES[1:]),
)
def test_each_tick_of_a_zone_closes_one_month(text: str, grace: timedelta, zone: str) -> None:
    ticks_close_one_each(grid_since(text, 2015, ZoneInfo(zone)), Cron.parse(text), grace)


def ticks_close_one_each(grid: WindowGrid, cron: Cron, grace: timedelta) -> None:
    began = (grid.start + DAY).timestamp()
    ticks = cron_string_iterator(began, cron.later(grace, grid.zone), str(grid.zone))
    first = grid.closed(next(ticks).astimezone(UTC), grace=grace)
    for number in range(1, 40):
        at = next(ticks).astimezone(UTC)
        closed = grid.closed(at, grace=grace)
        assert grid.number(closed) == grid.number(first) + number
        late = at - closed.end - grace
        assert timedelta(0) <= late <= cron.lateness(grace, grid.zone) + clock_change(grid.zone)


@pytest.mark.parametrize(
    ("text", "zone", "grace", "lateness"),
    [
        ("*/15 * * * *", "UTC", 20 * MINUTE, timedelta(0)),
        ("0 0 * * *", "Europe/Berlin", 20 * MINUTE, timedelta(0)),
        ("0 0 * * 1", "Europe/Berlin", 20 * MINUTE, HOUR),
        ("0 0 1 * *", "UTC", 20 * MINUTE, timedelta(0)),
        ("0 0 1 * *", "Europe/Berlin", 20 * MINUTE, HOUR),
        ("50 23 28 * *", "UTC", 9 * MINUTE, timedelta(0)),
        ("50 23 28 * *", "UTC", 20 * MINUTE, 3 * DAY),
    ],
)
def test_how_late_a_tick_may_come(text: str, zone: str, grace: timedelta, lateness: timedelta) -> None:
    assert Cron.parse(text).lateness(grace, UTC if zone == "UTC" else ZoneInfo(zone)) == lateness
