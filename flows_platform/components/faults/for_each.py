"""Rules for `for_each`: one name, values that can be used, and a request that has the value."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.components.faults.requests import texts_of
from flows_platform.components.source import Api, ColumnDeclaration, TableKeys
from flows_platform.declared import NAME, Fault
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.fetch.for_each import RESERVED, fault_of_value

_BRACES = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TYPES = (ColumnType.STRING, ColumnType.INT64)


def for_each_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    declared = source.api.for_each
    if declared is None:
        return
    at = ("api", "for_each")
    if len(declared) != 1:
        yield Fault(at, f"it has one name with its values, and there are {len(declared)}")
        return
    (name, values), *_ = declared.items()
    if not re.fullmatch(NAME, name) or name in RESERVED:
        reserved = f" other than {', '.join(sorted(RESERVED))}"
        yield Fault((*at, name), f"the name is letters, digits and _{reserved}, since {{{name}}} is in the request")
        return
    yield from _text_faults(source.api, name)
    if isinstance(values, list):
        yield from _value_faults(name, values)
    for index, column in enumerate(source.columns):
        if column.origin == name:
            yield from _column_faults(index, column, values if isinstance(values, list) else [])


def _text_faults(api: Api, name: str) -> Iterator[Fault]:
    """Requests that would go elsewhere, name a value wrongly, or name none."""
    slot = f"{{{name}}}"
    for found, url in texts_of(api):
        # guard: a value does not choose the host
        if found[-1] == "url" and slot in urlsplit(url).netloc:
            yield Fault(found, f"{slot} is in the host: secrets would go wherever a value says")
        for near in _near(name, url):
            yield Fault(found, f"nothing replaces {{{near}}}; did you mean {slot}?")
    # guard: every pull asks for its own value
    if not any(slot in text for _, text in texts_of(api)):
        yield Fault(
            ("api", "for_each"),
            f"no request has {slot}, so that every pull would be the same: write it into the url, or below "
            "parameters, headers or body",
        )


def _near(name: str, text: str) -> Iterator[str]:
    """Names in braces that are most likely the name of the values, misspelt."""
    for other in _BRACES.findall(text):
        alike = get_close_matches(other.casefold(), [name.casefold()], cutoff=0.85)
        # guard: a misspelt value is not sent
        if other != name and other not in RESERVED and alike:
            yield other


def _value_faults(name: str, values: list[str]) -> Iterator[Fault]:
    at = ("api", "for_each", name)
    if not values:
        yield Fault(at, "there is no value: nothing would be pulled")
    for index, value in enumerate(values):
        if not value.strip():
            yield Fault((*at, index), "it is empty")
        elif why := fault_of_value(value):
            yield Fault((*at, index), f"it {why}")
        elif value.strip() in map(str.strip, values[:index]):
            yield Fault((*at, index), f"{value!r} is there twice, and each value is a pull of its own")


def _column_faults(index: int, column: ColumnDeclaration, values: list[str]) -> Iterator[Fault]:
    at = ("columns", index, "from")
    if column.type not in _TYPES:
        yield Fault(at, f"a value of `for_each` is a text: declare {' or '.join(_TYPES)} as its type")
        return
    for value in values:
        try:
            cast_value(Column(column.name, column.type, ""), value)
        except Misfit as misfit:
            yield Fault(at, f"not every value of `for_each` fits: {misfit}")
            return
