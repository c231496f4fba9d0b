"""The fields of a report's form, one for each parameter: a date picker, a list, or an input with limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from flows_platform.reports.parameters import NoData, ReportParameter
from flows_platform.reports.values import KINDS, ParameterType, Value, as_text

NUMBERS = {ParameterType.INT64: "1", ParameterType.NUMERIC: "any", ParameterType.FLOAT64: "any"}
PICKERS = {ParameterType.DATE: "date", ParameterType.TIMESTAMP: "datetime-local"}
TRUTH = ("true", "false")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form.

    Args:
        parameter: The parameter.
        control: `input`, `select`, or `checks` for check boxes.
        attributes: The HTML attributes of an `input`.
        choices: The choices of a `select` or of `checks`, and whether each is chosen.
        hint: The text below the field.
        error: Why the value was refused, and what is allowed; empty if it was not refused.
    """

    parameter: ReportParameter
    control: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, bool] = field(default_factory=dict)
    hint: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        return self.parameter.name


def field_of(parameter: ReportParameter, given: str | None, newest: datetime | None, error: str) -> Field:
    """The field of a parameter.

    Args:
        parameter: The parameter.
        given: Its text in the request; None to show the default.
        newest: The end of the newest data, on which a default may depend; None if there is no data yet.
        error: Why the text was refused; empty if it was not.
    """
    text = _default(parameter, newest) if given is None else given
    hint = _hint(parameter)
    choices = TRUTH if parameter.type is ParameterType.BOOL and not parameter.many else parameter.of
    if choices:
        chosen = set(text.split(",") if parameter.many else [text])
        control = "checks" if parameter.many else "select"
        return Field(parameter, control, {}, {choice: choice in chosen for choice in choices}, hint, error)
    return Field(parameter, "input", _attributes(parameter, text), {}, hint, error)


def _default(parameter: ReportParameter, newest: datetime | None) -> str:
    if parameter.required:
        return ""
    try:
        return joined(parameter.default_value(newest))
    except NoData:
        return ""


def joined(value: Value) -> str:
    """A value as a URL writes it."""
    return ",".join(map(as_text, value)) if isinstance(value, tuple) else as_text(value)


def _attributes(parameter: ReportParameter, text: str) -> dict[str, str]:
    found = {"type": "text", "value": text}
    if not parameter.many:
        found |= _picker(parameter, text) or _number(parameter, text)
    if parameter.type is ParameterType.STRING and not parameter.many:
        found["maxlength"] = str(parameter.longest)
    return found | ({"required": ""} if parameter.required else {})


def _picker(parameter: ReportParameter, text: str) -> dict[str, str]:
    """The attributes of a date or time picker (UTC); none if a picker could not show the text."""
    kind = PICKERS.get(parameter.type)
    value = _picked(KINDS[parameter.type].read(text)) if text else ""
    if kind is None or value is None:
        return {}
    bounds = {
        key: _picked(KINDS[parameter.type].read(bound)) or ""
        for key, bound in (("min", parameter.minimum), ("max", parameter.maximum))
        if bound is not None
    }
    step = {"step": "1"} if parameter.type is ParameterType.TIMESTAMP else {}
    return {"type": kind, "value": value, **bounds, **step}


def _picked(value: Any) -> str | None:
    """A date or time as a picker writes it; None for other values, and for times with fractions of a second."""
    if isinstance(value, datetime):
        return None if value.microsecond else value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return value.isoformat() if isinstance(value, date) else None


def _number(parameter: ReportParameter, text: str) -> dict[str, str]:
    """The attributes of a number input; none if it would drop the text."""
    if parameter.type not in NUMBERS or (text and KINDS[parameter.type].read(text) is None):
        return {}
    bounds = {"min": parameter.minimum, "max": parameter.maximum}
    given = {key: bound for key, bound in bounds.items() if bound is not None}
    return {"type": "number", "step": NUMBERS[parameter.type], **given}


def _hint(parameter: ReportParameter) -> str:
    bounds = [f"{word} {bound}" for word, bound in (("from", parameter.minimum), ("to", parameter.maximum)) if bound]
    notes = [
        parameter.description,
        "UTC." if parameter.type is ParameterType.TIMESTAMP else "",
        f"{' '.join(bounds).capitalize()}." if bounds else "",
        f"Up to {parameter.most} values, with commas between them." if parameter.many and not parameter.of else "",
        "" if parameter.inclusive else "Excluded.",
    ]
    return " ".join(filter(None, notes))
