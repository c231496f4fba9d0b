"""Nested records to rows: each column from its path, one row for each repeated child. Nothing is cast here.

A field that no path takes is not lost: it stays in the row as `$.` and its own path, where casting meets it as unknown.
A path that chooses from a list takes nothing, since it leaves the others: map the whole list too, or ignore it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum

from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records, Unreadable, json_text
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import ColumnType

UNTAKEN = "$."  # before the path of a field that no column takes; no column can have such a name
_ZONED = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What is taken for a number of seconds: Python alone would also take 1_000, and compute 1e999999 in full.
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])


class TimeForm(StrEnum):
    """How a source writes an instant."""

    ISO = "iso"  # with its zone
    ISO_UTC = "iso_utc"  # without one, meaning UTC
    SECONDS = "seconds"  # since 1970
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True)
class ColumnSource:
    r"""Where a column's value comes from: the first of `paths` that leads to one, or all of `join`, with `|` between.

    What the other paths lead to is let go. A `|` inside a joined part is written `\|`, so that no two keys are alike.
    """

    column: str
    type: ColumnType
    paths: tuple[RecordPath, ...] = ()
    join: tuple[RecordPath, ...] = ()
    time: TimeForm = TimeForm.ISO
    truncates: bool = False  # a TIMESTAMP drops what is finer than a microsecond

    def value(self, record: Mapping[str, object]) -> object:
        """The value as the source has it, times with their zone; None where there is none."""
        if self.join:
            return self.joined(single(path.find(record)) for path in self.join)
        found = ((path.find(record), path.lists) for path in self.paths)
        return self.first(values if lists else single(values) for values, lists in found)

    def joined(self, values: Iterable[object]) -> str:
        """The values at the paths of `join` as one text."""
        return "|".join(map(_part, values))

    def first(self, values: Iterable[object]) -> object:
        """The first of the values at `paths` that is one."""
        for value in values:
            if value is None or (value == "" and self.type is not ColumnType.STRING):  # an empty XML element
                continue
            return self._instant(value) if self.type is ColumnType.TIMESTAMP else value
        return None

    def _instant(self, value: object) -> object:
        if self.time is TimeForm.ISO:
            return value
        if self.time is TimeForm.ISO_UTC:
            return f"{value}Z" if isinstance(value, str) and not _ZONED.search(value) else value
        return _since_1970(value, 1000 if self.time is TimeForm.MILLISECONDS else 1, floor=self.truncates)


def _part(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json_text(value)
    # guard: joined keys differ
    return text.replace("\\", r"\\").replace("|", r"\|")


def _since_1970(value: object, parts: int, *, floor: bool) -> object:
    """An instant from a number, or the value itself where it is none that a time can hold exactly.

    With `floor` what is finer than a microsecond is dropped.
    """
    try:
        # guard: numbers of seconds are exact
        if not _NUMBER.fullmatch(str(value)):
            return value
        microseconds = _EXACT.multiply(Decimal(str(value)), Decimal(1_000_000 // parts))
        if floor:
            microseconds = microseconds.to_integral_value(ROUND_FLOOR)
        exact = microseconds == microseconds.to_integral_value()
        return _EPOCH + timedelta(microseconds=int(microseconds)) if exact else value
    except (Inexact, OverflowError, ValueError):  # the last of an integer that Python writes in no decimal digits
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
                # No path leads into a list inside a list.
                # guard: a list inside a list is not taken
                yield from [(path, each)] if isinstance(each, list) and each else self.left(each, path)
        elif isinstance(value, Mapping) and (self.below or not path):
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

    Paths start at the record; those through `each` mean the row's own child. A record without such children gives no
    row. `ignored` fields are let go.
    """

    columns: tuple[ColumnSource, ...]
    each: RecordPath | None = None
    ignored: tuple[RecordPath, ...] = ()
    _taken: _Taken = field(init=False, repr=False, compare=False, default_factory=_Taken)

    def __post_init__(self) -> None:
        """Notes what is taken.

        Raises:
            ConfigurationError: `each` chooses some of the children, and so would lose the others.
        """
        # guard: rows are not made from chosen children
        if self.each and self.each.chooses:
            raise ConfigurationError(f"rows from {self.each.text!r}: the other elements of that list would be lost.")
        for column in self.columns:
            for path in (*column.paths, *column.join):
                if not path.chooses:
                    self._taken.add(path.names)
        for path in self.ignored:
            self._taken.add(path.names)

    @property
    def fields(self) -> frozenset[str]:
        """The first names of all paths."""
        return frozenset(path.names[0] for column in self.columns for path in (*column.paths, *column.join))

    def parts(self, records: Records) -> Records:
        """The records, each once for every row it gives, then with that row's child alone; what is no record stays."""
        return [part for record in records for part in self._parts(record)]

    def _parts(self, record: Mapping[str, object] | Unreadable) -> Iterator[Mapping[str, object] | Unreadable]:
        if isinstance(record, Unreadable) or self.each is None:
            yield record
        else:
            yield from _with_one_child(record, self.each.names)

    def childless(self, records: Records) -> set[str] | None:
        """What records without children have in their place: the paths of lists of objects that no column takes.

        None where one of them has the path to the children, be there none.
        """
        names = self.each.names if self.each else ()
        if any(_reaches(record, names) for record in records):
            return None
        left = (self._taken.left(record) for record in records if not isinstance(record, Unreadable))
        return {path for fields in left for path, value in fields if _holds_objects(value)}

    def row(self, part: Mapping[str, object] | Unreadable) -> Mapping[str, object] | Unreadable:
        """The row of one of the parts."""
        if isinstance(part, Unreadable):
            return part
        row = {column.column: value for column in self.columns if (value := column.value(part)) is not None}
        left: dict[str, list[object]] = {}
        for path, value in self._taken.left(part):
            left.setdefault(UNTAKEN + path, []).append(value)
        # guard: untaken fields are kept
        return row | {path: single(values) for path, values in left.items()}

    def map(self, records: Records) -> Records:
        """The records' rows, in order."""
        return [self.row(part) for part in self.parts(records)]

    def again(self, part: Mapping[str, object]) -> Mapping[str, object] | Unreadable:
        """The row of a part that was set aside under an earlier mapping."""
        rows = self.map([part])
        return rows[0] if len(rows) == 1 else Unreadable(f"gives {len(rows)} rows since the mapping was changed", b"")


def _reaches(value: object, names: tuple[str, ...]) -> bool:
    """Whether the names lead to something, also to an empty list or null."""
    if isinstance(value, list):
        return not value or any(_reaches(each, names) for each in value)
    if not names:
        return True
    return (
        isinstance(value, Mapping)
        and names[0] in value
        and (not value[names[0]] or _reaches(value[names[0]], names[1:]))
    )


def _holds_objects(value: object) -> bool:
    """A list of objects, or an element that holds one or several of a name."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(isinstance(each, Mapping) or (isinstance(each, list) and _holds_objects(each)) for each in inner)


def _with_one_child(record: Mapping[str, object], names: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """The record as if it had one child only, for each at the path; what lies on the way is copied, not changed."""
    name, *rest = names
    held = record.get(name)
    for child in held if isinstance(held, list) else [held]:
        if rest and isinstance(child, Mapping):
            yield from ({**record, name: inner} for inner in _with_one_child(child, tuple(rest)))
        elif not rest and child is not None:
            yield {**record, name: [child] if isinstance(child, list) else child}  # a list is one child
