"""Numbers in a few figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.short_numbers import short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (12_345, "12.3k"),
        (-12_345, "-12.3k"),
        (99_960, "100k"),
        (999_999, "1M"),
        (2**63 - 1, "9.2E"),
        (0.0625, "0.0625"),
        (2.5, "2.5"),
        (-0.1, "-0.1"),
        (1e-7, "1e-07"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text


@given(st.integers(0, 2**63 - 1))
def test_no_whole_number_takes_more_than_five_characters(number: int) -> None:
    assert len(short(number)) <= 5
