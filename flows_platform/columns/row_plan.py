"""Rows of many records, each walked once: its fields go to the columns whose paths end at them.

The reference is `mapping.py`, which looks every column up for itself. A record with a list on the way to a column, or
with two fields of one path, is left to it, and so are columns whose paths choose from lists. Ten times as fast on 47
columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flows_platform.columns.casting import Rows, Slice
from flows_platform.columns.mapping import UNTAKEN, ColumnSource, RecordMapping, TimeForm
from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records
from flows_platform.domain.schema import ColumnType

type Finish = Callable[[Mapping[str, object], list[object]], object]


class _NotPlain(Exception):
    """This record is the reference's."""


@dataclass(slots=True)
class _Node:
    """A name on the way to columns. `places` take its value, with "" for nothing unless they say so."""

    path: str = ""
    below: dict[str, "_Node"] = field(default_factory=dict)
    whole: bool = False  # what lies below is taken
    places: list[tuple[int, bool]] = field(default_factory=list)

    def at(self, names: tuple[str, ...]) -> "_Node":
        node = self
        for name in names:
            node = node.below.setdefault(name, _Node(f"{node.path}.{name}" if node.path else name))
        return node


class RowPlan:
    """What `mapping.row` gives, for all parts of a slice."""

    def __init__(self, mapping: RecordMapping) -> None:
        self._mapping = mapping
        self._names = tuple(column.column for column in mapping.columns)
        self._root = _Node()
        self._size = len(mapping.columns)
        self._finish: list[tuple[int, Finish]] = []
        for place, column in enumerate(mapping.columns):
            self._lay(place, column)
        for path in mapping.ignored:
            self._root.at(path.names).whole = True

    def rows(self, parts: Records) -> Slice:
        """The parts' rows: as sequences where all have only fields that columns take."""
        found = [self._found(part) for part in parts]
        whole: list[Sequence[object]] = [values for values, left in found if values is not None and not left]
        if len(whole) == len(parts):
            return Rows(self._names, whole)
        return [
            self._mapping.row(part) if values is None else dict(zip(self._names, values, strict=True)) | left
            for part, (values, left) in zip(parts, found, strict=True)
        ]

    def _lay(self, place: int, column: ColumnSource) -> None:
        paths = (*column.paths, *column.join)
        for path in paths:
            if not path.chooses:
                self._root.at(path.names).whole = True
        if any(path.lists or path.chooses for path in paths):
            self._finish.append((place, _looked_up(column)))
        elif column.join:
            self._finish.append((place, _joined(column, [self._place(path) for path in column.join])))
        elif len(paths) == 1 and (column.type is not ColumnType.TIMESTAMP or column.time is TimeForm.ISO):
            self._root.at(paths[0].names).places.append((place, column.type is ColumnType.STRING))
        else:
            self._finish.append((place, _first(column, [self._place(path) for path in paths])))

    def _place(self, path: RecordPath) -> int:
        self._root.at(path.names).places.append((self._size, True))
        self._size += 1
        return self._size - 1

    def _found(self, part: object) -> tuple[list[object] | None, dict[str, object]]:
        """A part's values in the order of the columns, and by its path what no column takes."""
        left: dict[str, object] = {}
        if not isinstance(part, dict):
            return None, left
        found: list[object] = [None] * self._size
        try:
            self._walk(self._root, part, found, left)
        except _NotPlain:
            return None, left
        for place, finish in self._finish:
            found[place] = finish(part, found)
        return found[: len(self._names)], left

    def _walk(
        self, node: _Node, holder: Mapping[str, object], found: list[object], left: dict[str, object] | None
    ) -> None:
        for name, value in holder.items():
            inner = node.below.get(name)
            if inner is None:
                if left is not None:
                    _leave(left, f"{node.path}.{name}" if node.path else name, value)
                continue
            if inner.places:
                _put(inner.places, value, found)
            if inner.below:
                self._walk_below(inner, value, found, left)

    def _walk_below(self, node: _Node, value: object, found: list[object], left: dict[str, object] | None) -> None:
        # guard: a list on the way to a column is left to the reference
        if isinstance(value, list):
            raise _NotPlain
        if isinstance(value, dict):
            self._walk(node, value, found, None if node.whole else left)
        elif left is not None and not node.whole and value not in ("", None):
            _leave(left, node.path, value)


def _leave(left: dict[str, object], path: str, value: object) -> None:
    # guard: fields of one path are both kept
    if UNTAKEN + path in left:  # a name of its own may hold a point: `{"a.b": 1, "a": {"b": 2}}`
        raise _NotPlain
    left[UNTAKEN + path] = value


def _looked_up(column: ColumnSource) -> Finish:
    return lambda part, _: column.value(part)


def _joined(column: ColumnSource, places: list[int]) -> Finish:
    return lambda _, found: column.joined(found[place] for place in places)


def _first(column: ColumnSource, places: list[int]) -> Finish:
    return lambda _, found: column.first(found[place] for place in places)


def _put(places: list[tuple[int, bool]], value: object, found: list[object]) -> None:
    if isinstance(value, list):
        value = single(value)
    for place, blank in places:
        if blank or value != "":
            found[place] = value
