"""JSON documents without an array of objects: arrays of values, and objects whose members are the records."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flows_platform.columns.paths import joined
from flows_platform.components.sample.answer import SampleAnswer

TITLES = ("name", "field", "title", "label")  # members that hold a column's name
MEMBER = "key"  # the field for the names of members

type _Found = tuple[tuple[str, ...], Any]


def shaped_answer(document: object) -> SampleAnswer | None:
    """The answer as arrays with names, or as members of an object; None where it is neither."""
    return table_answer(document) or _members(document)


def _values(value: object, wanted: Callable[[object], bool], names: tuple[str, ...] = ()) -> Iterator[_Found]:
    """The values of a document that objects lead to, with the names on the way."""
    if wanted(value):
        yield names, value
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name:
            yield from _values(inner, wanted, (*names, name))


def table_answer(document: object, *, titled: bool = False) -> SampleAnswer | None:
    """The answer as arrays with names; `titled` asks for names that are in the document."""
    found = sorted(_values(document, _is_table), key=lambda table: -len(table[1]))
    if not found:
        return None
    at, rows = found[0]
    width = len(rows[0])
    titles, path = _titles(document, width, at)
    if titled and not titles:
        return None
    names = titles or [f"column_{number}" for number in range(1, width + 1)]
    return SampleAnswer(
        "json",
        [dict(zip(names, row, strict=True)) for row in rows],
        {},
        {"records": joined(at), "names": path or names},
        notes={"names": "guess: the names of the values, in their order" if path else "guess: write the names"},
    )


def _is_table(value: object) -> bool:
    rows = value if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows) and bool(rows[0])


def _titles(document: object, width: int, table: tuple[str, ...]) -> tuple[list[str], str]:
    """The names of `width` columns in the document, and the path to them if they come before the table."""
    before = True
    for at, values in _values(document, lambda value: isinstance(value, list)):
        before = before and at != table
        for path, titles in _titles_in(values, joined(at)) if at and len(values) == width else ():
            if all(isinstance(title, str) and title for title in titles) and len(set(titles)) == width:
                return titles, path if before else ""
    return [], ""


def _titles_in(values: list[Any], at: str) -> Iterator[tuple[str, list[Any]]]:
    yield at, values
    for title in TITLES:
        if all(isinstance(value, dict) and title in value for value in values):
            yield f"{at}[].{title}", [value[title] for value in values]


def _members(document: object) -> SampleAnswer | None:
    found = sorted(_values(document, _holds_records), key=lambda holder: -len(holder[1]))
    if not found:
        return None
    at, members = found[0]
    taken = {name for record in members.values() for name in record}
    field = next(
        name for name in (MEMBER, *(f"{MEMBER}_{number}" for number in range(len(taken) + 1))) if name not in taken
    )
    records: list[Mapping[str, Any]] = [{field: name, **record} for name, record in members.items()]
    notes = {"record_key": "guess: the records are the members of this object, and this field takes their names"}
    return SampleAnswer("json", records, {}, {"records": joined(at), "record_key": field}, notes=notes)


def _holds_records(value: object) -> bool:
    """Whether the members of an object are records: several objects that share a field."""
    inner = list(value.values()) if isinstance(value, dict) else []
    several = len(inner) > 1 and all(isinstance(record, dict) for record in inner)
    return several and bool(set.intersection(*(set(record) for record in inner)))
