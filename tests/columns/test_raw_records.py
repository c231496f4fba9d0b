"""A record as JSON: the writer for records without decimals gives the same text as the general one."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.raw_records import json_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_decimal_beside_a_value_changes_nothing_of_it(value: object) -> None:
    plain = json_text(value)
    assert json_text([value, Decimal("1.50")]) == f"[{plain},1.50]"
    assert json.loads(plain) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": Decimal("7.10")}, '{"a":7.10}'),
        ({"a": Decimal("NaN")}, '{"a":{"Decimal":"Decimal(\'NaN\')"}}'),
        ({"at": datetime(2024, 3, 1, tzinfo=UTC)}, '{"at":"2024-03-01T00:00:00+00:00"}'),
        ({"b": b"\xff"}, '{"b":{"bytes":"b\'\\\\xff\'"}}'),
        ({(1, 2): 3}, '{"(1, 2)":3}'),
        (["\ud800", "é"], '["\\ud800","\\u00e9"]'),
    ],
)
def test_what_json_has_no_form_for_names_its_type(value: object, text: str) -> None:
    assert json_text(value) == text
