"""Exact decimals: a number is held with all of its digits, or not at all."""

from decimal import Decimal, Inexact, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.decimals import PLAIN, exact, plain
from flows_platform.domain.verification import canonical

LARGEST = 10**38 - 1
BILLIONTHS = st.integers(-LARGEST, LARGEST) | st.integers(-(10**12), 10**12) | st.sampled_from([0, 1, -1, LARGEST])


@given(BILLIONTHS)
def test_what_fits_is_the_same_number_in_every_writing(billionths: int) -> None:
    number = Decimal(f"{billionths}e-9")
    held = exact(number)
    assert (held, held.as_tuple().exponent) == (number, -9)
    text = plain(number)
    assert PLAIN.fullmatch(text)
    assert Decimal(text) == number
    assert not text.endswith(".")
    assert canonical([number]) == canonical([Decimal(text)]) == text.encode()


@pytest.mark.parametrize(
    ("written", "plainly"),
    [
        ("1.50", "1.5"),
        ("15e-1", "1.5"),
        ("1E+3", "1000"),
        ("-0", "0"),
        ("0E+999", "0"),
        ("-0.000000001", "-0.000000001"),
        ("1.0000000000000", "1"),
        ("9" * 29 + "." + "9" * 9, "9" * 29 + "." + "9" * 9),
    ],
)
def test_a_number_has_one_plain_form(written: str, plainly: str) -> None:
    assert plain(exact(Decimal(written))) == plain(Decimal(written)) == plainly


@pytest.mark.parametrize("written", ["0.0000000001", "1.0000000005", "1e-10", "9" * 29 + ".9999999999", "1e-999999"])
def test_a_tenth_decimal_is_not_rounded(written: str) -> None:
    with pytest.raises(Inexact):
        exact(Decimal(written))


@pytest.mark.parametrize("written", ["1" + "0" * 29, "-1e29", "1e999999", "Infinity", "-Infinity"])
def test_a_thirtieth_digit_does_not_fit(written: str) -> None:
    with pytest.raises(InvalidOperation):
        exact(Decimal(written))
