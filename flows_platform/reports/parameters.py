"""The parameters of a report: how they are declared, their defaults, and the values of one request."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flows_platform.declared import Declared, did_you_mean, refused
from flows_platform.domain.errors import InputError
from flows_platform.reports.values import KINDS, ParameterType, Scalar, Value, as_text, text_of_json

LONGEST = 256  # characters of a string
MOST = 100  # values of a list
SHOWN = 60  # characters of a value in a message
NAME = r"^[a-z][a-z0-9_]{0,63}$"
# Parameters that every report has.
TAKEN = frozenset({"format", "numbers", "shape"})
NEWEST = re.compile(r"\{\{\s*newest\s*(?:-\s*([1-9][0-9]{0,4})\s*(m|h|d|w)\s*)?\}\}", re.ASCII)
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ORDERED = frozenset(
    {ParameterType.INT64, ParameterType.FLOAT64, ParameterType.NUMERIC, ParameterType.DATE, ParameterType.TIMESTAMP}
)


class BadParameter(InputError):
    """A request gives a value that is not allowed.

    Args:
        name: The parameter.
        why: What is wrong with the value.
        allowed: What the value may be.
    """

    def __init__(self, name: str, why: str, allowed: str) -> None:
        super().__init__(why, remedy=f"Allowed: {allowed}.")
        self.name, self.allowed = name, allowed


class NoData(InputError):
    """A default depends on the newest data, and the report's tables have no data yet."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise refused(f"this is not a regular expression: {error}") from None
    return text


def _written(given: object) -> object:
    """Numbers and booleans of YAML as they are written in a URL."""
    if isinstance(given, list):
        return [_written(item) for item in given]
    if isinstance(given, bool):
        return str(given).lower()
    return str(given) if isinstance(given, int | float) else given


Written = Annotated[str, BeforeValidator(_written)]


class ReportParameter(Declared):
    """A value that requests give to a report. The statement reads it as `@name`."""

    name: str = Field(pattern=NAME, description="Name of the parameter in requests. The statement reads it as `@name`.")
    type: ParameterType = Field(description="Type of the value; a choice is one of the strings in `of`.")
    description: str = Field("", description="What the value means, for the page and the API's description.")
    many: bool = Field(
        False,
        description="Whether the value is a list. In a URL, commas separate its items; the statement reads an array.",
    )
    of: tuple[Written, ...] = Field((), description="The allowed values of a `choice`.")
    default: Annotated[Written | tuple[Written, ...] | None, BeforeValidator(_written)] = Field(
        None,
        description="Value for requests without the parameter, which is required if it has no default. For dates and "
        "times also `{{ newest }}`, the end of the newest data, or `{{ newest - 1d }}` (units m, h, d, w).",
    )
    minimum: Written | None = Field(None, description="Smallest value of a number, date or timestamp.")
    maximum: Written | None = Field(None, description="Largest value of a number, date or timestamp.")
    inclusive: bool = Field(True, description="Whether the value itself belongs to the range that it starts or ends.")
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        None, description="Regular expression that the whole string must match."
    )
    longest: int = Field(LONGEST, ge=1, le=LONGEST, description="Maximum number of characters of a string.")
    most: int = Field(MOST, ge=1, le=MOST, description="Maximum number of items of a list.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.name in TAKEN:
            raise refused(f"{self.name} is a parameter of every report; choose another name", ("name",))
        self._check_keys()
        for key in ("minimum", "maximum"):
            if (given := getattr(self, key)) is not None and KINDS[self.type].read(given) is None:
                raise refused(f"it must be {KINDS[self.type].allowed}", (key,))
        if self.default is not None and not self.is_newest:
            try:
                self.read(self.default)
            except BadParameter as error:
                raise refused(f"it must be {error.allowed}", ("default",)) from None
        return self

    def _check_keys(self) -> None:
        choice, text = self.type is ParameterType.CHOICE, self.type is ParameterType.STRING
        fits = {"of": choice, "pattern": text, "longest": text, "most": self.many}
        fits |= dict.fromkeys(("minimum", "maximum"), self.type in ORDERED)
        for key, allowed in fits.items():
            if key in self.model_fields_set and not allowed:
                raise refused(f"a parameter of type {self.type} has no `{key}`", (key,))
        if choice and len(set(self.of)) < max(1, len(self.of)):
            raise refused("a choice needs `of`: a list of different texts", ("of",))

    @property
    def is_newest(self) -> bool:
        """Whether the default depends on the newest data."""
        times = {ParameterType.DATE, ParameterType.TIMESTAMP}
        return isinstance(self.default, str) and self.type in times and NEWEST.fullmatch(self.default) is not None

    @property
    def required(self) -> bool:
        """Whether a request must give it."""
        return self.default is None

    @property
    def allowed(self) -> str:
        """What a value may be, as messages say it."""
        one = ", ".join(self.of) if self.of else KINDS[self.type].allowed
        bounds = [f"{word} {bound}" for word, bound in (("from", self.minimum), ("to", self.maximum)) if bound]
        if self.type is ParameterType.STRING:
            bounds.append(f"of at most {self.longest} characters")
            bounds += [f"that matches {self.pattern}"] if self.pattern else []
        text = " ".join([one, *bounds])
        return f"up to {self.most} values, separated by commas, of: {text}" if self.many else text

    @property
    def lowest(self) -> Scalar | None:
        """The minimum as a value; None if there is none."""
        return None if self.minimum is None else KINDS[self.type].read(self.minimum)

    @property
    def highest(self) -> Scalar | None:
        """The maximum as a value; None if there is none."""
        return None if self.maximum is None else KINDS[self.type].read(self.maximum)

    def read(self, given: object) -> Value:
        """The value of a text of a URL, or of a value of JSON.

        Raises:
            BadParameter: the value is not allowed.
        """
        if not self.many:
            return self._one(given)
        items = given.split(",") if isinstance(given, str) and given else given or ()
        # A body may give any JSON.
        if not isinstance(items, list | tuple):
            raise self._bad(f"{self.name} is {_brief(given)}.")
        # guard: lists of a report have a length
        if not 1 <= len(items) <= self.most:
            raise self._bad(f"{self.name} has {len(items)} values.")
        return tuple(self._one(item) for item in items)

    def _one(self, given: object) -> Scalar:
        text = text_of_json(given, self.type)
        # guard: texts of a report have a length
        value = None if text is None or len(text) > LONGEST else KINDS[self.type].read(text)
        if value is None or not self._within(value):
            raise self._bad(f"{self.name} is {_brief(given)}.")
        return value

    def _within(self, value: Any) -> bool:
        read = KINDS[self.type].read
        if self.type is ParameterType.CHOICE:
            return value in self.of
        if self.type is ParameterType.STRING:
            return len(value) <= self.longest and (self.pattern is None or bool(re.fullmatch(self.pattern, value)))
        low: Any = None if self.minimum is None else read(self.minimum)
        high: Any = self.highest
        return (low is None or value >= low) and (high is None or value <= high)

    def _bad(self, why: str) -> BadParameter:
        return BadParameter(self.name, why, self.allowed)

    def default_value(self, newest: datetime | None) -> Value:
        """The value for a request that gives none.

        Args:
            newest: The end of the newest data of the report's tables; None if they have no data yet.

        Raises:
            BadParameter: the parameter is required.
            NoData: the default depends on the newest data, and there is none.
        """
        if self.default is None:
            raise self._bad(f"{self.name} is missing.")
        match = NEWEST.fullmatch(self.default) if isinstance(self.default, str) and self.is_newest else None
        if match is None:
            return self.read(self.default)
        if newest is None:
            raise NoData(f"{self.name} follows the newest data, and there is none yet.", remedy=f"Give {self.name}.")
        moment = newest.astimezone(UTC) - (timedelta(**{UNITS[match[2]]: int(match[1])}) if match[1] else timedelta())
        value = moment.date() if self.type is ParameterType.DATE else moment
        return (value,) if self.many else value

    @property
    def schema_of_value(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        one: dict[str, Any] = {**KINDS[self.type].schema}
        if self.of:
            one["enum"] = list(self.of)
        if self.type is ParameterType.STRING:
            one |= {"maxLength": self.longest} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})
        for key in ("minimum", "maximum"):
            if (bound := getattr(self, key)) is not None and one["type"] in {"integer", "number"}:
                one[key] = json.loads(bound)
        return {"type": "array", "items": one, "minItems": 1, "maxItems": self.most} if self.many else one


def _brief(value: object) -> str:
    text = ascii(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} and more"


def values_of(
    parameters: Sequence[ReportParameter], given: Mapping[str, Any], newest: datetime | None
) -> dict[str, Value]:
    """The values of all parameters, defaults included, in the order in which they are declared.

    Raises:
        BadParameter: a parameter is unknown, has a value that is not allowed, or is required and missing.
        NoData: a default depends on the newest data, and there is none.
    """
    names = [parameter.name for parameter in parameters]
    # guard: parameters of a report are known
    if unknown := [name for name in given if name not in names]:
        near = did_you_mean(unknown[0], names) or "."
        allowed = ", ".join(names) or "no parameter"
        raise BadParameter(unknown[0][:SHOWN], f"there is no parameter {_brief(unknown[0])} here{near}", allowed)
    return {
        parameter.name: parameter.read(given[parameter.name])
        if parameter.name in given
        else parameter.default_value(newest)
        for parameter in parameters
    }


def examples_of(parameters: Sequence[ReportParameter]) -> dict[str, Value]:
    """An allowed value for every parameter, with which a statement can be checked: its default if it has one."""
    return {
        one.name: _example(one) if one.required else one.default_value(datetime(2000, 1, 1, tzinfo=UTC))
        for one in parameters
    }


def _example(parameter: ReportParameter) -> Value:
    text = parameter.minimum or parameter.maximum or (parameter.of or (KINDS[parameter.type].example,))[0]
    value = KINDS[parameter.type].read(text)
    assert value is not None  # noqa: S101 - the declaration was checked
    return (value,) if parameter.many else value


def canonical(values: Mapping[str, Value]) -> dict[str, Any]:
    """The values as texts, which are the same for equal values however a request writes them."""
    return {
        name: [as_text(item) for item in value] if isinstance(value, tuple) else as_text(value)
        for name, value in values.items()
    }
