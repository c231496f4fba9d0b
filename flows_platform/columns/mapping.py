"""From nested records to rows: every column from its path, one row per repeated child. Nothing is cast here.

A field that no path takes is not lost: it stays in the row under `$.` and its path, where casting finds it unknown. A
path that selects from a list takes nothing, since it leaves the other elements: map the whole list too, or ignore it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from flows_platform.columns.paths import TEXT, RecordPath, single
from flows_platform.columns.raw_records import Records, Unreadable, json_text, raw_record
from flows_platform.columns.time_forms import TimeForm, Written, instant_in
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import ColumnType

INSTANTS = {ColumnType.TIMESTAMP, ColumnType.DATE}  # a date is the midnight in UTC that begins it
UNTAKEN = "$."  # before the path of a field that no column takes; no column can have such a name


@dataclass(frozen=True, slots=True)
class ColumnSource:
    r"""Where a column's value comes from: the first of `paths` that has a value, or all of `join`, with `|` between.

    The values of the other paths are ignored. A `|` inside a joined value is written `\|`, so that two keys never
    collide.
    """

    column: str
    type: ColumnType
    paths: tuple[RecordPath, ...] = ()
    join: tuple[RecordPath, ...] = ()
    time: Written = TimeForm.ISO
    truncates: bool = False  # a TIMESTAMP drops all digits finer than a microsecond
    origin: str = ""  # what gives all rows of a pull their value, instead of the record
    given: object = None  # that value

    def value(self, record: Mapping[str, object]) -> object:
        """The value as the source writes it, times with their zone; None if there is no value."""
        if self.origin:
            return self.given
        if self.join:
            return self.joined(single(path.find(record)) for path in self.join)
        found = ((path.find(record), path.lists) for path in self.paths)
        return self.first(values if lists else single(values) for values, lists in found)

    def joined(self, values: Iterable[object]) -> str:
        """The values at the paths of `join` as one text."""
        return "|".join(map(_escaped, values))

    def first(self, values: Iterable[object]) -> object:
        """The first of the values at `paths` that is neither null nor empty; a STRING may be empty."""
        for value in values:
            if value is None or (value == "" and self.type is not ColumnType.STRING):  # an empty XML element
                continue
            return value if self.as_sent else instant_in(self.time, value, truncates=self.truncates)
        return None

    @property
    def as_sent(self) -> bool:
        """Whether casting gets the values as the source writes them."""
        return self.type not in INSTANTS or self.time is TimeForm.ISO


def _escaped(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json_text(value)
    # guard: joined keys differ
    return text.replace("\\", r"\\").replace("|", r"\|")


@dataclass(slots=True)
class _Taken:
    """The names that paths take, as a tree; a leaf takes everything below it."""

    below: dict[str, "_Taken"] = field(default_factory=dict)
    whole: bool = False

    def add(self, names: tuple[str, ...]) -> None:
        node = self
        for name in names:
            node = node.below.setdefault(name, _Taken())
        node.whole = True

    def left(self, value: object, path: str = "") -> Iterator[tuple[str, object]]:
        """The fields that no path takes, with their own paths."""
        if self.whole:
            return
        if isinstance(value, list):
            for element in value:
                # A path never leads into a list inside a list.
                # guard: a list inside a list is not taken
                yield from [(path, element)] if isinstance(element, list) and element else self.left(element, path)
        elif isinstance(value, Mapping) and (self.below or not path):
            for name, member in value.items():
                inner = f"{path}.{name}" if path else str(name)
                taken = self.below.get(name)
                if taken is None:
                    yield inner, member
                else:
                    yield from taken.left(member, inner)
        elif value not in ("", None):  # an XML element that usually holds others may be empty, or only text
            text = self.below.get(TEXT) if isinstance(value, str) else None
            if not (text and text.whole):
                yield path, value


@dataclass(frozen=True)
class RecordMapping:
    """Columns from paths. `each` is the path to the children: every child gives a row, with the record's own values.

    All paths start at the record; in a row, a path through `each` leads to that row's child alone. A record without
    children gives no row. `ignored` fields are dropped.
    """

    columns: tuple[ColumnSource, ...]
    each: RecordPath | None = None
    named: bool = False  # the children came as arrays, and those with a value per name are objects now
    ignored: tuple[RecordPath, ...] = ()
    _taken: _Taken = field(init=False, repr=False, compare=False, default_factory=_Taken)

    def __post_init__(self) -> None:
        """Collect the names that paths take.

        Raises:
            ConfigurationError: `each` selects some of the children, so the others would be lost.
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

    @property
    def origins(self) -> frozenset[str]:
        """What gives values to columns, instead of the record."""
        return frozenset(column.origin for column in self.columns if column.origin)

    def with_given(self, values: Mapping[str, object]) -> "RecordMapping":
        """The mapping for a pull that gives these values, by origin."""
        return replace(
            self,
            columns=tuple(
                replace(column, given=values[column.origin]) if column.origin else column for column in self.columns
            ),
        )

    def split(self, records: Records) -> Records:
        """The records, once per row that they give, with that row's child alone; unreadable ones stay as they are."""
        return [one for record in records for one in self._split(record)]

    def _split(self, record: Mapping[str, object] | Unreadable) -> Iterator[Mapping[str, object] | Unreadable]:
        if isinstance(record, Unreadable) or self.each is None:
            yield record
        else:
            for row in _with_one_child(record, self.each.names):
                # guard: rows have a value per name
                yield _unnamed(row, self.each.names) or row if self.named else row

    def childless(self, records: Records) -> set[str] | None:
        """What records without children have instead: the paths of lists that no column takes.

        These are lists of objects; also other lists, if children may be such values.

        None if one of the records has the path to the children, even to an empty list.
        """
        names = self.each.names if self.each else ()
        if any(_reaches(record, names) for record in records):
            return None
        left = (self._taken.left(record) for record in records if not isinstance(record, Unreadable))
        plain = self._has_plain_children
        return {
            path
            for fields in left
            for path, value in fields
            if _holds_objects(value) or (plain and isinstance(value, list) and value)
        }

    @property
    def _has_plain_children(self) -> bool:
        """Whether children come as arrays, or a column takes a child itself."""
        paths = (path for column in self.columns for path in (*column.paths, *column.join))
        return self.named or any(self.each and path.names == self.each.names for path in paths)

    def row(self, record: Mapping[str, object] | Unreadable) -> Mapping[str, object] | Unreadable:
        """The row of one record of `split`."""
        if isinstance(record, Unreadable):
            return record
        row = {column.column: value for column in self.columns if (value := column.value(record)) is not None}
        left: dict[str, list[object]] = {}
        for path, value in self._taken.left(record):
            left.setdefault(UNTAKEN + path, []).append(value)
        # guard: untaken fields are kept
        return row | {path: single(values) for path, values in left.items()}

    def map(self, records: Records) -> Records:
        """The records' rows, in order."""
        return [self.row(record) for record in self.split(records)]

    def remap(self, record: Mapping[str, object]) -> Mapping[str, object] | Unreadable:
        """The row of a record of `split` that was rejected, perhaps under an earlier mapping."""
        rows = self.map([record])
        return rows[0] if len(rows) == 1 else Unreadable(f"gives {len(rows)} rows since the mapping was changed", b"")


def _reaches(value: object, names: tuple[str, ...]) -> bool:
    """Whether the names lead to something, also to an empty list or null."""
    if isinstance(value, list):
        return not value or any(_reaches(element, names) for element in value)
    if not names:
        return True
    return (
        isinstance(value, Mapping)
        and names[0] in value
        and (not value[names[0]] or _reaches(value[names[0]], names[1:]))
    )


def _holds_objects(value: object) -> bool:
    """Whether the value is a list of objects, or an element that holds other elements."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(isinstance(item, Mapping) or (isinstance(item, list) and _holds_objects(item)) for item in inner)


def _unnamed(row: Mapping[str, object], names: tuple[str, ...]) -> Unreadable | None:
    """The row as unreadable if its child is an array, which has not as many values as there are names."""
    child: object = row
    for name in names:
        child = child.get(name) if isinstance(child, Mapping) else None
    if not isinstance(child, list):
        return None
    (array,) = child
    return Unreadable(f"{len(array)} values, but there is another number of names", raw_record(row))


def _with_one_child(record: Mapping[str, object], names: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """The record once per child at the path, with that child alone. It copies the objects on the path."""
    name, *rest = names
    held = record.get(name)
    for child in held if isinstance(held, list) else [held]:
        if rest and isinstance(child, Mapping):
            yield from ({**record, name: inner} for inner in _with_one_child(child, tuple(rest)))
        elif not rest and child is not None:
            yield {**record, name: [child] if isinstance(child, list) else child}  # a child that is a list is one child
