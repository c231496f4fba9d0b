"""Columns from the records of a sample: a name, a path and a type that every value fits."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.mapping import ColumnSource
from flows_platform.columns.paths import RecordPath, joined, quoted
from flows_platform.columns.time_forms import DATE_TEXT, PER_SECOND, TimeForm, Written
from flows_platform.components.sample.answer import SampleAnswer
from flows_platform.components.sample.answers import path_of
from flows_platform.components.sample.time_texts import is_day, time_texts
from flows_platform.domain.schema import Column, ColumnType, fault_of_name, plain_name

EXTRA = "extra_fields"
WINDOW = "window_at"
DEEPEST = 5  # names of a path; what nests deeper is one JSON column
WIDEST = 60  # members of an object; one with more is a map, and one JSON column
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*", re.DOTALL)
_MONEY_NAME = re.compile(r"(?:^|_)(?:amount|price|cost|fee|tax|total|subtotal|balance|charge)s?(?:_[a-z]+)?$")
_TIME_NAME = re.compile(r"time|date|(?:^|_)(?:at|ts)$|created|updated|modified|seen|expires|published|since|until")
SECONDS = range(946_684_800, 4_102_444_800)  # the years 2000 to 2099


@dataclass(frozen=True, slots=True)
class DraftColumn:
    """A column as the sample suggests it. `always` says that every record has a value.

    With an `origin`, such as `window_start`, its value is not in the records.
    """

    name: str
    path: RecordPath
    type: ColumnType
    values: tuple[object, ...]
    always: bool
    written: Written = TimeForm.ISO
    truncates: bool = False
    note: str = ""
    origin: str = ""

    @property
    def unique(self) -> bool:
        """Whether no two records have the same value."""
        return len(set(map(str, self.values))) == len(self.values)

    @property
    def instants(self) -> list[datetime]:
        """The values of a timestamp."""
        return [value for value in self.values if isinstance(value, datetime)]


def draft_columns(answer: SampleAnswer) -> list[DraftColumn]:
    """A column for each field of the records, in the order in which fields appear."""
    columns: list[DraftColumn] = []
    taken = {EXTRA, WINDOW}
    for names, is_list in _fields(answer.records, (), texts=answer.as_text):
        path = path_of(joined(names) + ("[]" if is_list else ""))
        if path is None:
            continue  # it goes into the column of unknown fields
        column = _column(_name(names, taken), path, answer, is_list=is_list)
        taken.add(column.name.lower())
        columns.append(column)
    return columns


def unnamed_fields(answer: SampleAnswer) -> list[str]:
    """Names of fields that no path can hold."""
    names = [name for path, _ in _fields(answer.records, (), texts=answer.as_text) for name in path]
    return [name for name in dict.fromkeys(names) if path_of(quoted(name)) is None]


def _fields(
    records: Sequence[Mapping[str, Any]], above: tuple[str, ...], *, texts: bool
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The paths of all fields, and whether each leads to a list."""
    for name in dict.fromkeys(name for record in records for name in record):
        values = [record[name] for record in records if name in record]
        held = [value for value in values if value is not None and not (texts and value == "")]
        objects = [value for value in held if isinstance(value, dict)]
        members = {member for value in objects for member in value}
        opens = len(above) + 1 < DEEPEST and 0 < len(members) <= WIDEST
        if held and len(objects) == len(held) and opens:
            yield from _fields(objects, (*above, name), texts=texts)
        else:
            yield (*above, name), any(isinstance(value, list) for value in held)


def _name(names: Sequence[str], taken: set[str]) -> str:
    """A name of the field's own names that no other column has."""
    plain = plain_name(_CAMEL.sub("_", "_".join(names)), otherwise="field")
    name = plain if not plain[0].isdigit() and not fault_of_name(plain) else f"f_{plain}"
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _column(name: str, path: RecordPath, answer: SampleAnswer, *, is_list: bool) -> DraftColumn:
    found = [ColumnSource(name, ColumnType.JSON, (path,)).value(record) for record in answer.records]
    values = [value for value in found if value is not None]
    always = len(values) == len(answer.records)
    if is_list:
        return DraftColumn(name, path, ColumnType.JSON, tuple(values), always)
    if not values:
        return DraftColumn(
            name, path, ColumnType.JSON, (), always=False, note="empty in the sample: its type is not known"
        )
    for kind in _kinds(name, values, texts=answer.as_text):
        if (cast := _cast(name, kind, values)) is not None:
            return DraftColumn(name, path, kind.type, cast, always, kind.written, kind.truncates, kind.note)
    return DraftColumn(name, path, ColumnType.JSON, tuple(values), always, note="values of several types")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type that the values may have, and how they write it."""

    type: ColumnType
    written: Written = TimeForm.ISO
    truncates: bool = False
    note: str = ""


def _kinds(name: str, values: Sequence[object], *, texts: bool) -> Iterator[_Kind]:
    """The types to try, the narrowest first."""
    written = [str(value) for value in values]
    if all(isinstance(value, bool) for value in values) or (texts and set(written) <= {"true", "false"}):
        yield _Kind(ColumnType.BOOL)
    numbers = all(isinstance(value, str) == texts and not isinstance(value, bool) for value in values)
    if all(map(_WHOLE.fullmatch, written)):
        yield from _epochs(name, written)
        if numbers:
            yield _Kind(ColumnType.INT64)
            yield _Kind(ColumnType.NUMERIC, note="beyond 64 bits")
    elif all(map(_NUMBER.fullmatch, written)):
        yield from _fractions(name, numbers=numbers)
    if all(map(_INSTANT.fullmatch, written)):
        for truncates, finer in ((False, ""), (True, "digits beyond a microsecond are dropped")):
            yield _Kind(ColumnType.TIMESTAMP, TimeForm.ISO, truncates, finer)
            yield _Kind(ColumnType.TIMESTAMP, TimeForm.ISO_UTC, truncates, finer or "no zone: taken for UTC")
    if all(isinstance(value, str) for value in values):
        if not written[0].isdecimal():
            yield from _by_strftime(written[0])
        yield _Kind(ColumnType.STRING)


def _fractions(name: str, *, numbers: bool) -> Iterator[_Kind]:
    """The types of decimals. In quotes, in JSON, they may be versions, such as 1.10, unless the name says otherwise."""
    if _MONEY_NAME.search(name):
        yield _Kind(ColumnType.NUMERIC, note="guess: an amount, which stays exact; 9 decimals at most")
    if numbers:
        yield _Kind(ColumnType.FLOAT64)
        yield _Kind(ColumnType.NUMERIC, note="more digits than a float64 holds")


def _epochs(name: str, written: Sequence[str]) -> Iterator[_Kind]:
    """Times as numbers, where name and size suggest it."""
    if _TIME_NAME.search(name):
        if all(int(text) in SECONDS for text in written):
            yield _Kind(ColumnType.TIMESTAMP, TimeForm.SECONDS, note="guess: a number of seconds since 1970")
        if all(int(text) // 1000 in SECONDS for text in written):
            yield _Kind(ColumnType.TIMESTAMP, TimeForm.MILLISECONDS, note="guess: milliseconds since 1970")
        for form in (TimeForm.MICROSECONDS, TimeForm.NANOSECONDS):
            if all(int(text) // PER_SECOND[form] in SECONDS for text in written):
                yield _Kind(ColumnType.TIMESTAMP, form, truncates=True, note=f"guess: {form} since 1970")
        yield from _by_strftime(written[0])


def _by_strftime(value: str) -> Iterator[_Kind]:
    for text, note in time_texts(value):
        if is_day(text):
            yield _Kind(ColumnType.DATE, TimeForm.ISO if text == DATE_TEXT else text, note=note)
            continue
        for truncates, finer in ((False, ""), (True, "digits beyond a microsecond are dropped")):
            yield _Kind(ColumnType.TIMESTAMP, text, truncates, "; ".join(filter(None, [note, finer])))


def _cast(name: str, kind: _Kind, values: Sequence[object]) -> tuple[object, ...] | None:
    """The values as the platform casts them, or None where one does not fit."""
    column = Column(name, kind.type, "", truncates=kind.truncates)
    source = ColumnSource(name, kind.type, time=kind.written, truncates=kind.truncates)
    try:
        return tuple(cast_value(column, source.first([value])) for value in values)
    except Misfit:
        return None
