"""Values of requests: one exact text for every value, everything else refused by name."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from flows_platform.reports.parameters import BadParameter, NoData, ReportParameter, canonical, values_of
from flows_platform.reports.values import json_text

NEWEST = datetime(2024, 3, 1, 12, tzinfo=UTC)


def parameter(kind: str, **keys: Any) -> ReportParameter:
    return ReportParameter.model_validate({"name": "p", "type": kind, **keys})


READ = [
    ("int64", "-9223372036854775808", -(2**63)),
    ("int64", 9223372036854775807, 2**63 - 1),
    ("float64", "-1.5e3", -1500.0),
    ("float64", Decimal("0.1"), 0.1),
    ("numeric", "99999999999999999999999999999.123456789", Decimal("99999999999999999999999999999.123456789")),
    ("numeric", Decimal("1.50"), Decimal("1.5")),
    ("bool", "true", True),
    ("bool", False, False),
    ("string", "ü😀'\"\\;--", "ü😀'\"\\;--"),
    ("string", "", ""),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("timestamp", "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ("timestamp", "2024-02-29T23:59", datetime(2024, 2, 29, 23, 59, tzinfo=UTC)),
    ("timestamp", "2024-02-29 23:59:59.999999Z", datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)),
    ("timestamp", "2024-02-29T23:59:59.5-02:00", datetime(2024, 3, 1, 1, 59, 59, 500_000, UTC)),
]
REFUSED = {
    "int64": [
        "",
        " 1",
        "+1",
        "01",
        "1_000",
        "1.0",
        "-0",
        "1e3",
        "\u0661",
        "²",
        "9223372036854775808",
        "null",
        True,
        None,
        [1],
    ],
    "float64": ["", "1" * 300, "inf", "nan", "-", "1.", ".5", "1e999", "0x1", "1_0", True, None, {}],
    "numeric": ["", "1e3", "1.0000000001", "1" * 30, "NaN", "--1", Decimal("1E+999999"), True],
    "bool": ["", "True", "1", "0", "yes", 1, None],
    "string": ["a\x00b", "a\nb", "\x7f", "\x9f", "\ud800", "x" * 257, 1, True, ["a"], {"a": 1}],
    "date": [
        "",
        "2024-2-1",
        "20240201",
        "2024-02-30",
        "2024-02-01T00:00:00",
        "0000-01-01",
        "\uff12024-02-01",
        20240201,
    ],
    "timestamp": [
        "",
        "now",
        "2024-02-01Z",
        "2024-02-01T24:00:00Z",
        "2024-02-01T00:00:60Z",
        "2024-02-01T00:00:00.1234567Z",
        "2024-02-01T00:00:00 02:00",
        "2024-02-01T00:00:00+02",
        "2024-02-01T00:00:00+99:00",
        "2024-W01-1",
        "0001-01-01T00:00:00+01:00",
        1706745600,
    ],
}


@pytest.mark.parametrize(("kind", "given", "value"), READ)
def test_values_are_read_exactly(kind: str, given: Any, value: object) -> None:
    assert parameter(kind)._one(given) == value


@pytest.mark.parametrize(("kind", "given"), [(kind, given) for kind, all_ in REFUSED.items() for given in all_])
def test_other_values_are_refused_by_name(kind: str, given: Any) -> None:
    with pytest.raises(BadParameter) as caught:
        parameter(kind)._one(given)
    assert caught.value.name == "p"
    assert caught.value.message.startswith("p is ")
    assert caught.value.allowed


def test_bounds_patterns_choices_and_lists() -> None:
    bounded = parameter("int64", minimum=1, maximum=10)
    assert bounded.read("10") == 10
    name = parameter("string", pattern="[a-z]+", longest=3)
    choice = parameter("choice", of=["bytes", "flows"])
    numbers = parameter("int64", many=True, most=3)
    assert (name.read("abc"), choice.read("flows"), numbers.read("1,2,3")) == ("abc", "flows", (1, 2, 3))
    assert numbers.read([1, "2"]) == (1, 2)
    for one, given in [
        (bounded, "0"),
        (bounded, "11"),
        (name, "abcd"),
        (name, "ab1"),
        (name, "ab\n"),
        (choice, "Bytes"),
        (choice, "bytes; DROP"),
        (numbers, ""),
        (numbers, "1,,2"),
        (numbers, "1,2,3,4"),
        (numbers, []),
        (numbers, 5),
        (numbers, True),
        (numbers, None),
        (numbers, Decimal("1.5")),
        (numbers, {"1": 2}),
    ]:
        with pytest.raises(BadParameter, match="p "):
            one.read(given)


def test_defaults_follow_the_newest_data() -> None:
    for text, ago in [
        ("{{ newest }}", 0),
        ("{{newest - 90m}}", 1.5),
        ("{{ newest-2h }}", 2),
        ("{{ newest - 1w }}", 168),
    ]:
        value = parameter("timestamp", default=text).default_value(NEWEST)
        assert value == NEWEST - timedelta(hours=ago)
    assert parameter("date", default="{{ newest - 1d }}").default_value(NEWEST) == date(2024, 2, 29)
    assert parameter("timestamp", default="{{ newest }}", many=True).default_value(NEWEST) == (NEWEST,)
    assert parameter("int64", default=5).default_value(None) == 5
    with pytest.raises(NoData, match="p follows the newest data, and there is none yet"):
        parameter("date", default="{{ newest }}").default_value(None)
    with pytest.raises(BadParameter, match="p is missing"):
        parameter("int64").default_value(NEWEST)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"type": "int64", "default": "x"}, "it must be a whole number"),
        ({"type": "int64", "default": 0, "minimum": 1}, "it must be a whole number of 64 bits, in ASCII digits from 1"),
        ({"type": "int64", "default": "{{ newest }}"}, "it must be a whole number"),
        ({"type": "timestamp", "default": "{{ newest - 1y }}"}, "it must be a time"),
        ({"type": "int64", "minimum": "1.5"}, "it must be a whole number"),
        ({"type": "string", "minimum": "a"}, "a parameter of type string has no `minimum`"),
        ({"type": "int64", "pattern": "a"}, "a parameter of type int64 has no `pattern`"),
        ({"type": "int64", "most": 3}, "has no `most`"),
        ({"type": "choice"}, "a choice needs `of`"),
        ({"type": "choice", "of": ["a", "a"]}, "a choice needs `of`"),
        ({"type": "string", "pattern": "("}, "not a regular expression"),
        ({"type": "string", "name": "format"}, "format is a parameter of every report"),
    ],
)
def test_declarations_that_do_not_fit(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ReportParameter.model_validate({"name": "p", **keys})
    assert why in str(caught.value)


def test_names_of_a_request_are_known() -> None:
    parameters = [parameter("int64", default=1)]
    assert values_of(parameters, {}, None) == {"p": 1}
    with pytest.raises(BadParameter, match="there is no parameter 'q'"):
        values_of(parameters, {"q": "1"}, None)


def test_equal_values_have_one_text() -> None:
    first, second = (
        values_of([parameter("timestamp")], {"p": text}, None) for text in ("2024-01-01", "2024-01-01T01:00:00+01:00")
    )
    assert canonical(first) == canonical(second) == {"p": "2024-01-01T00:00:00Z"}
    assert canonical({"p": (Decimal("1.50"), True, 2)}) == {"p": ["1.5", "true", "2"]}
    exact = json_text((Decimal("12345678901234567890.5"), 2**63 - 1, "a\"'"))
    assert exact == '[12345678901234567890.5, 9223372036854775807, "a\\"\'"]'
    assert json.loads(exact)[2] == "a\"'"


def test_the_schema_of_a_value() -> None:
    assert parameter("int64", minimum=1, maximum=9).schema_of_value == {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
        "maximum": 9,
    }
    listed = parameter("choice", of=["a", "b"], many=True).schema_of_value
    assert (listed["type"], listed["items"]["enum"]) == ("array", ["a", "b"])
