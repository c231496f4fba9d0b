"""Records that are arrays: a value gets the name at its position."""

from collections.abc import Mapping

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Records, Unreadable, as_object, json_text
from flows_platform.domain.errors import SourceRefused

type Names = tuple[str, ...] | RecordPath


class NamedArrays:
    """Makes objects of arrays. `names` are the names, or the path to them in the document.

    With `rows`, the arrays are the elements of the list at that path in every record. The path to the names then leads
    through the record, or through the document if the record does not have it.
    """

    def __init__(self, names: Names, rows: RecordPath | None = None) -> None:
        self._path = names if isinstance(names, RecordPath) else None
        self._names = () if isinstance(names, RecordPath) else names
        self._rows = rows

    def begin(self, envelope: Mapping[str, object]) -> None:
        """Take the names from the document, of which all that comes before the records is known.

        Raises:
            SourceRefused: the names are not texts, or repeat.
        """
        if self._path:
            self._names = self._found_in(envelope)

    def records(self, found: list[object]) -> Records:
        """The records of some more values.

        An array of another length is unreadable; among `rows`, it stays an array.

        Raises:
            SourceRefused: the names did not come before, are not texts, or repeat.
        """
        if self._rows is None:
            names = self._known() if found else ()
            return [_record(value, names) for value in found]
        for value in found:
            if isinstance(value, dict) and self._rows.find(value):
                _replace(value, self._rows.names, self._names_of(value))
        return list(map(as_object, found))

    def require_same(self, envelope: Mapping[str, object]) -> None:
        """At the end, check that the names are still those that were used.

        Raises:
            SourceRefused: more names came after the records.
        """
        # guard: the names do not change after the records
        if self._path and self._names and self._found_in(envelope) != self._names:
            raise SourceRefused(
                f"the names at {self._path.text!r} go on after the records.", remedy="Choose one list of names: [0]."
            )

    def _names_of(self, record: Mapping[str, object]) -> tuple[str, ...]:
        return (self._found_in(record) if self._path else ()) or self._known()

    def _known(self) -> tuple[str, ...]:
        # guard: names come before the records
        if self._path and not self._names:
            raise SourceRefused(
                f"there are no names at {self._path.text!r} before the records.",
                remedy="Check `names`; names that come after the records cannot be used: list them instead.",
            )
        return self._names

    def _found_in(self, holder: Mapping[str, object]) -> tuple[str, ...]:
        """The names at the path; empty if there are none."""
        found = self._path.find(holder) if self._path else []
        names = tuple(name for name in found if isinstance(name, str))
        if self._path and len(names) < len(found):
            other = next(name for name in found if not isinstance(name, str))
            raise SourceRefused(f"{json_text(other)[:100]} at {self._path.text!r} is not a name.")
        # guard: names of positions are distinct
        if self._path and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SourceRefused(f"the names at {self._path.text!r} repeat {twice!r}.", remedy="List `names` instead.")
        return names


def _record(value: object, names: tuple[str, ...]) -> dict[str, object] | Unreadable:
    if isinstance(value, Unreadable):
        return value
    if (named := _by_name(value, names)) is not None:
        return named
    why = f"{len(value)} values, but there are {len(names)} names" if isinstance(value, list) else "not a JSON array"
    return Unreadable(why, json_text(value).encode())


def _replace(holder: object, path: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Make objects of the arrays in the list at the path."""
    name, *rest = path
    for one in holder if isinstance(holder, list) else [holder]:
        if not isinstance(one, dict):
            continue
        held = one.get(name)
        if rest:
            _replace(held, tuple(rest), names)
        elif isinstance(held, list):
            one[name] = [row if (named := _by_name(row, names)) is None else named for row in held]


def _by_name(array: object, names: tuple[str, ...]) -> dict[str, object] | None:
    """The values of an array by their names; None where it is not an array, or of another length."""
    # guard: an array has one value for each name
    fits = isinstance(array, list) and len(array) == len(names)
    return dict(zip(names, array, strict=True)) if fits and isinstance(array, list) else None
