"""Columns of floats, booleans and JSON: a value is cast to exactly what was sent, or rejected."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.domain.schema import Column, ColumnType

FLOAT = Column("score", ColumnType.FLOAT64, "")
BOOL = Column("known", ColumnType.BOOL, "")
JSON = Column("more", ColumnType.JSON, "")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE)
@example(2.0**-44)  # its shortest form is a tie
@example(5e-324)
@example(1.7976931348623157e308)
def test_a_double_comes_back_from_every_form_a_source_prints(value: float) -> None:
    forms: list[object] = [value, Decimal(repr(value)), repr(value), f"{value:.16e}", f"{value:.17g}", Decimal(value)]
    assert [cast_value(FLOAT, form) for form in forms] == [value] * len(forms)


@given(st.integers(-(2**70), 2**70))
def test_an_integer_is_held_as_itself_or_not_at_all(value: int) -> None:
    forms: list[object] = [value, str(value)]
    for form in forms:
        if int(float(value)) == value:
            assert cast_value(FLOAT, form) == value
        else:
            with pytest.raises(Misfit, match="score"):
                cast_value(FLOAT, form)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_of_up_to_15_digits_is_held(value: Decimal) -> None:
    few = len(value.as_tuple().digits) <= 15 and abs(value.adjusted()) < 300
    try:
        held: Any = cast_value(FLOAT, value)
    except Misfit:
        assert not few
    else:
        assert held == float(value)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("7.8", 7.8),
        ("1.50", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("0.10000000000000000000", 0.1),
        ("-0", 0),
    ],
)
def test_spellings_of_a_number(value: object, held: float) -> None:
    assert cast_value(FLOAT, value) == held


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1e400"),
        Decimal("1e-400"),
        Decimal("1e999999999"),
        Decimal("-1e-999999999"),
        Decimal("3.14159265358979323846"),
        Decimal("9007199254740993.0"),
        2**53 + 1,
        10**400,
        True,
        "",
        ".",
        "e5",
        " 5",
        "+5",
        "1_0",
        "٣",
        "nan",
        "inf",
        "0x1p3",
        "1e99999999999999999999",
        "9" * 5000,
        [1.0],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_is_not_a_double_is_a_misfit(value: object) -> None:
    with pytest.raises(Misfit, match="score"):
        cast_value(FLOAT, value)


@pytest.mark.parametrize("value", [True, "true", "1", 1])
def test_truths(value: object) -> None:
    assert cast_value(BOOL, value) is True


@pytest.mark.parametrize("value", [False, "false", "0", 0])
def test_falsehoods(value: object) -> None:
    assert cast_value(BOOL, value) is False


@pytest.mark.parametrize("value", [2, -1, 1.0, Decimal(1), "True", "yes", "", "01", [], None])
def test_what_is_neither_true_nor_false(value: object) -> None:
    with pytest.raises(Misfit, match="known"):
        cast_value(BOOL, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, Decimal("1.50")], "a": None}, '{"b":[1,1.50],"a":null}'),
        ([], "[]"),
        ("x", '"x"'),
        ('{"a":1}', '"{\\"a\\":1}"'),
        (True, "true"),
        (10**30, str(10**30)),
        ("é", '"\\u00e9"'),
    ],
)
def test_any_json_value_is_kept_as_its_text(value: object, text: str) -> None:
    assert cast_value(JSON, value) == text


@pytest.mark.parametrize("value", [float("nan"), {"a": [Decimal("Infinity")]}, {1: 2}, b"x", [object()], None])
def test_what_json_has_no_form_for_is_a_misfit(value: object) -> None:
    with pytest.raises(Misfit, match="more"):
        cast_value(JSON, value)
