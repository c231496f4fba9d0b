"""Instants read by strftime texts: exactly what such a text writes, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.strftime import StrftimeText, strftime_reader

AT = datetime(2024, 3, 1, 15, 7, 9, 123_000, tzinfo=UTC)
SECOND = AT.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "value", "instant"),
    [
        ("%Y-%m-%d %H:%M:%S.%f UTC", "2024-03-01 15:07:09.123 UTC", AT),
        ("%Y-%m-%d %H:%M:%S.%f UTC", "2024-03-01 15:07:09.123000000 UTC", AT),
        ("%Y-%m-%d %H:%M:%S", "2024-03-01 15:07:09", SECOND),
        ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2024:17:07:09 +0200", SECOND),
        ("%d/%b/%Y:%H:%M:%S %z", "01/mar/2024:09:37:09 -05:30", SECOND),
        ("%a, %d %b %Y %H:%M:%S %Z", "Fri, 01 Mar 2024 15:07:09 GMT", SECOND),
        ("%A %B %-d, %Y %-I:%M:%S %p", "Friday March 1, 2024 3:07:09 pm", SECOND),
        ("%a %b %e %T %Y", "Fri Mar  1 15:07:09 2024", SECOND),
        ("%FT%R%z", "2024-03-01T15:07Z", SECOND.replace(second=0)),
        ("%Y%m%d%H%M%S", "20240301150709", SECOND),
        ("%y%j", "24061", datetime(2024, 3, 1, tzinfo=UTC)),
        ("%d.%m.%y", "01.03.69", datetime(1969, 3, 1, tzinfo=UTC)),
        ("%Y-%m", "2024-03", datetime(2024, 3, 1, tzinfo=UTC)),
        ("%I %p %Y-%m-%d", "12 AM 2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)),
        ("100%% of %Y", "100% of 2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("%Y-%m-%d (%Y)", "2024-03-01 (2024)", datetime(2024, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_text_is_read_as_it_is_written(text: str, value: str, instant: datetime) -> None:
    assert strftime_reader(text).read(value) == instant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%Y-%m-%d", "2024-3-1"),
        ("%Y-%m-%d", " 2024-03-01"),
        ("%Y-%m-%d", "2024-03-01\n"),
        ("%Y-%m-%d", "2024-02-30"),
        ("%Y-%m-%d", "٢٠٢٤-03-01"),
        ("%Y-%m-%d", "0000-03-01"),
        ("%-d/%-m/%Y", "01/3/2024"),
        ("%Y-%m-%d %H:%M:%S", "2024-03-01 24:00:00"),
        ("%Y-%m-%d %H:%M:%S", "2024-03-01 23:59:60"),
        ("%Y-%m-%d %H:%M:%S", "2024-03-01T15:07:09"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-03-01 15:07:09"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-03-01 15:07:09.0000001"),
        ("%Y-%m-%d %H:%M:%S %Z", "2024-03-01 15:07:09 CET"),
        ("%Y-%m-%d %H:%M:%S %z", "2024-03-01 15:07:09 +2500"),
        ("%FT%T%z", "0001-01-01T00:00:00+14:00"),
        ("%a, %d %b %Y", "Mon, 01 Mar 2024"),
        ("%Y-%j-%m-%d", "2024-062-03-01"),
        ("%Y %j", "2023 366"),
        ("%Y %j", "2023 000"),
        ("%Y %j", "9999 366"),
        ("%Y %j", "0001 000"),
        ("%Y-%m-%d (%Y)", "2024-03-01 (2025)"),
        ("%F %H %p", "2024-03-01 15 AM"),
    ],
)
def test_what_a_text_does_not_write_is_not_read(text: str, value: str) -> None:
    assert strftime_reader(text).read(value) is None


def test_digits_beyond_a_microsecond_are_dropped_on_request_alone() -> None:
    reader = strftime_reader("%FT%T.%fZ")
    assert reader.read("2024-03-01T15:07:09.1230009Z") is None
    assert reader.read("2024-03-01T15:07:09.1230009Z", truncates=True) == AT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("%-m%-d%Y", "may be read in two ways: digits follow %-m"),
        ("%F %T.%f00", "may be read in two ways: digits follow %f"),
        ("%F %I:%M", "%I is an hour of twelve: %p is missing"),
        ("%F %p", "%p is half a day: %I is missing"),
        ("%H:%M:%S", "does not say the year of a time"),
        ("%Y-%m-%d %Q", "the directive '%Q' is not known"),
        ("%-F", "the directive '%-F' is not known"),
        ("%a %Z", "it says nothing of a time"),
    ],
)
def test_a_text_that_cannot_be_read_exactly_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        strftime_reader(text)


TEXTS = st.sampled_from(
    [
        "%Y-%m-%dT%H:%M:%S.%f%z",
        "%a %b %e %T.%f %Y",
        "%-d.%-m.%Y, %-I:%M:%S.%f %p",
        "%A, %d %B %Y %-H-%-M-%-S-%f",
        "%Y %j %R:%S,%f",
    ]
)


@given(TEXTS, st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)))  # noqa: DTZ001 - made UTC below
def test_what_a_text_writes_it_reads_again(text: str, moment: datetime) -> None:
    instant = moment.replace(tzinfo=UTC)
    assert strftime_reader(text).read(StrftimeText.parse(text).fill(instant)) == instant
    shifted = StrftimeText.parse(text).fill(instant + timedelta(microseconds=1))
    assert strftime_reader(text).read(shifted) == instant + timedelta(microseconds=1)
