"""Nested records to rows: each column from its path, one row for each repeated child. Nothing is cast here.

A field that no path takes is not lost: it stays in the row as `$.` and its own path, where casting meets it as unknown.
A path that chooses from a list takes nothing, since it leaves the others: map the whole list too, or ignore it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from flows_platform.domain.schema import ColumnType
from flows_platform.wire.casting import Records
from flows_platform.wire.paths import RecordPath, single
from flows_platform.wire.raw_records import Unreadable

UNTAKEN = "$."  # before the path of a field that no column takes; no column can have such a name
_ZONED = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeForm(StrEnum):
    """How a source writes an instant."""

    ISO = "iso"  # with its zone
    ISO_UTC = "iso_utc"  # without one, meaning UTC
    SECONDS = "seconds"  # since 1970
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """Where a column's value comes from: the first of `paths` that leads to one, or all of `join`, with `|` between."""

    column: str
    type: ColumnType
    paths: tuple[RecordPath, ...] = ()
    join: tuple[RecordPath, ...] = ()
    time: TimeForm = TimeForm.ISO

    def value(self, record: Mapping[str, object]) -> object:
        """The value as the source has it, times with their zone; None where there is none."""
        if self.join:
            return "|".join("" if (part := single(path.find(record))) is None else str(part) for path in self.join)
        for path in self.paths:
            found = path.find(record)
            value = found if path.lists else single(found)
            if value is None or (value == "" and self.type is not ColumnType.STRING):  # an empty XML element
                continue
            return self._instant(value) if self.type is ColumnType.TIMESTAMP else value
        return None

    def _instant(self, value: object) -> object:
        if self.time is TimeForm.ISO:
            return value
        if self.time is TimeForm.ISO_UTC:
            return f"{value}Z" if isinstance(value, str) and not _ZONED.search(value) else value
        return _since_1970(value, 1000 if self.time is TimeForm.MILLISECONDS else 1)


def _since_1970(value: object, parts: int) -> object:
    """An instant from a number, or the value itself where it is none that a time can hold exactly."""
    try:
        microseconds = Decimal(str(value)) * 1_000_000 / parts
        exact = microseconds == microseconds.to_integral_value()
        return _EPOCH + timedelta(microseconds=int(microseconds)) if exact else value
    except (ArithmeticError, ValueError, OverflowError):
        return value


@dataclass(slots=True)
class _Taken:
    """The names that paths take, as a tree; a leaf takes all below it."""

    below: dict[str, "_Taken"] = field(default_factory=dict)
    whole: bool = False

    def add(self, names: tuple[str, ...]) -> None:
        node = self
        for name in names:
            node = node.below.setdefault(name, _Taken())
        node.whole = True

    def left(self, value: object, path: str = "") -> Iterator[tuple[str, object]]:
        """What is not taken, by its path."""
        if self.whole:
            return
        if isinstance(value, list):
            for each in value:
                yield from self.left(each, path)
        elif isinstance(value, Mapping) and self.below:
            for name, each in value.items():
                inner = f"{path}.{name}" if path else str(name)
                taken = self.below.get(name)
                if taken is None:
                    yield inner, each
                else:
                    yield from taken.left(each, inner)
        elif value not in ("", None):  # an element that only ever held others, and is empty
            yield path, value


@dataclass(frozen=True)
class RecordMapping:
    """Columns from paths. `each` leads to children that are a row each, with the record's own values beside theirs.

    Paths start at the record; those through `each` mean the row's own child. `ignored` fields are let go.
    """

    columns: tuple[ColumnSource, ...]
    each: RecordPath | None = None
    ignored: tuple[RecordPath, ...] = ()
    _taken: _Taken = field(init=False, repr=False, compare=False, default_factory=_Taken)

    def __post_init__(self) -> None:
        for column in self.columns:
            for path in (*column.paths, *column.join):
                if not path.chooses:
                    self._taken.add(path.names)
        for path in self.ignored:
            self._taken.add(path.names)

    def map(self, records: Records) -> Records:
        """The records' rows, in order; what is no record stays as it is."""
        return [row for record in records for row in self.rows(record)]

    def rows(self, record: Mapping[str, object] | Unreadable) -> Iterator[Mapping[str, object] | Unreadable]:
        """The rows of one record: one, or one for each child."""
        if isinstance(record, Unreadable):
            yield record
        elif self.each is None:
            yield self._row(record)
        else:
            for child in self.each.find(record):
                yield self._row(_with_child(record, self.each.names, child))

    def _row(self, record: Mapping[str, object]) -> Mapping[str, object]:
        row = {column.column: value for column in self.columns if (value := column.value(record)) is not None}
        left: dict[str, list[object]] = {}
        for path, value in self._taken.left(record):
            left.setdefault(UNTAKEN + path, []).append(value)
        return row | {path: single(values) for path, values in left.items()}

    def again(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """A row that was set aside under an earlier mapping, with what this one takes of its untaken fields."""
        taken = {
            column.column: row[UNTAKEN + path.text]
            for column in self.columns
            for path in column.paths
            if column.column not in row and UNTAKEN + path.text in row
        }
        ignored = {UNTAKEN + path.text for path in (*self.ignored, *(p for each in self.columns for p in each.paths))}
        return {name: value for name, value in row.items() if name not in ignored} | taken


def _with_child(record: Mapping[str, object], names: tuple[str, ...], child: object) -> dict[str, object]:
    """The record as if `child` were the only one at the path; what lies on the way is copied, not changed."""
    name, *rest = names
    if not rest:
        return {**record, name: child}
    holder = record[name]
    inner = holder if isinstance(holder, Mapping) else {}
    return {**record, name: _with_child(inner, tuple(rest), child)}
