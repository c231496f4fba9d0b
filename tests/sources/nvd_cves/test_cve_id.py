"""Ids and their integers: one to one, in the same order, and nothing else is an id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import InputError
from flows_platform.sources.nvd_cves.cve_id import id_of, key_of

PAIRS = st.tuples(st.integers(0, 9999), st.integers(0, 10**9 - 1))


def test_the_documented_one() -> None:
    assert key_of("CVE-2021-45357") == 2021000045357
    assert key_of("CVE-1999-0001") == 1999000000001


@given(PAIRS, PAIRS)
def test_keys_sort_as_year_and_number_and_lead_back(one: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (f"CVE-{year:04}-{number:04}" for year, number in (one, other))
    assert (key_of(first) < key_of(second)) == (one < other)
    assert id_of(key_of(first)) == first
    assert key_of(first) < 2**53


@pytest.mark.parametrize(
    "text",
    ["", "CVE-2021-1", "CVE-2021-00001", "cve-2021-0001", "CVE-2021-0001 ", "CVE-2021-1234567890", "CVE-٢٠٢١-0001"],
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(InputError, match="is not a CVE id"):
        key_of(text)
