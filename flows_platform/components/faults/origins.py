"""Rules for columns whose value comes from the window or the pull, not from the record."""

from collections.abc import Iterator

from flows_platform.columns.origins import Origin
from flows_platform.components.source import ColumnDeclaration, TableKeys
from flows_platform.declared import Fault
from flows_platform.domain.schema import ColumnType
from flows_platform.domain.verification import Verification
from flows_platform.fetch.time_parameters import Stop

_OF_RECORDS = ("path", "join", "written", "finer")


def origin_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    columns = {column.name: column for column in source.columns}
    given = {name: column for name, column in columns.items() if column.origin}
    for index, column in enumerate(source.columns):
        yield from _column_faults(index, column, source)
    yield from _time_faults(source, given.get(source.time or ""))
    if source.key_columns and all(name in given for name in source.key_columns):
        yield Fault(("key",), "all rows of a window have the same: a column of the record is missing")
    paging = source.api.paging
    if paging and paging.continues_from in given:
        yield Fault(("api", "paging", "column"), f"{paging.continues_from!r} does not come from the record")
    # guard: a digest of the source does not cover what it does not send
    if given and source.api.verification == Verification.DIGEST.word:
        name, column = next(iter(given.items()))
        yield Fault(
            ("api", "verification"),
            f"the source's digest cannot cover the column {name!r}, which comes from {column.origin}; the highest "
            f"level is {Verification.COUNT.word}",
        )


def _column_faults(index: int, column: ColumnDeclaration, source: TableKeys) -> Iterator[Fault]:
    if not column.origin:
        return
    at = ("columns", index, "from")
    names = [*Origin, *(source.api.for_each or ())]
    if column.origin not in names:
        yield Fault(at, f"it is one of {', '.join(names)}")
    elif column.type is ColumnType.DATE and column.origin in {Origin.WINDOW_START, Origin.WINDOW_END}:
        if not (source.partitions.templated or source.partitions.start_days):
            yield Fault(at, "dates need windows of whole days that start at midnight in UTC")
    elif column.origin in set(Origin) and column.type is not ColumnType.TIMESTAMP:
        yield Fault(at, f"{column.origin} is an instant: declare `type: timestamp`")
    if others := [key for key in _OF_RECORDS if key in column.model_fields_set]:
        yield Fault(("columns", index, others[0]), "the value does not come from the record, but from `from`")
    if column.name == source.extra:
        yield Fault(at, "the column of unknown fields takes them from the record")


def _time_faults(source: TableKeys, time: ColumnDeclaration | None) -> Iterator[Fault]:
    if time is None:
        return
    if time.origin != Origin.WINDOW_START:
        yield Fault(("time",), f"{time.origin} is not inside the window; window_start is")
    asked = source.api.time
    if asked is None:
        return
    if asked.stop is Stop.BEYOND:
        yield Fault(
            ("api", "time", "stop"),
            "rows that get the window's start do not show which record is past it; with `never` all of an answer is "
            "taken",
        )
    # guard: rows without a time of their own come from ranges that do not overlap
    if not (asked.after_inclusive and asked.exact and (asked.stop or not asked.before_inclusive)):
        yield Fault(
            ("api", "time"),
            "rows that get the window's start do not show to which of two windows a record on their bound belongs: "
            "the API must include the start and exclude the end (`before_inclusive: false`)",
        )
