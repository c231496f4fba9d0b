"""Which column cuts windows, and which identify a row."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.time_forms import TimeForm
from flows_platform.components.sample.columns import WINDOW, DraftColumn
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import ColumnType

CHANGED = re.compile(r"updated|modified|changed|last_?mod")
_TIMES = (
    re.compile(r"^(?:event_?|log_?)?(?:time|timestamp|datetime|date|ts|at)$|occurred|logged|observed"),
    re.compile(r"created|published|added|issued|received|seen|time_?stamp|start"),
    CHANGED,
)
_LATER = re.compile(r"expire|due|until|end|valid")
_KEYS = (
    re.compile(r"^(?:id|uuid|guid|_id|event_?id|record_?id)$"),
    re.compile(r"(?:^|_)(?:id|uuid|guid|key|number|cve)$"),
    re.compile(r"id$|code|hash|name"),
)
_IDENTIFYING = {ColumnType.STRING, ColumnType.INT64, ColumnType.DATE}


def time_column(columns: Sequence[DraftColumn], asked_by: str, today: date) -> DraftColumn:
    """The time that every record has and that the API most likely cuts by; `asked_by` is the range's parameter.

    Where no field is one, it is the start of the window, of which the day before `today` is the first.
    """
    times = [column for column in columns if column.type is ColumnType.TIMESTAMP and column.always]
    times = times or [_midnights(column) for column in columns if column.type is ColumnType.DATE and column.always]
    if not times:
        first = datetime.combine(today - timedelta(days=1), time.min, UTC)
        note = "guess: no field of the sample is a time in every record"
        path = RecordPath.parse(WINDOW)
        return DraftColumn(WINDOW, path, ColumnType.TIMESTAMP, (first,), always=True, note=note, origin="window_start")
    by_change = bool(CHANGED.search(asked_by.casefold()) or "mod" in asked_by.casefold())

    def rank(column: DraftColumn) -> tuple[int, int]:
        if by_change and CHANGED.search(column.name):
            return -1, 0
        if _LATER.search(column.name):
            return len(_TIMES) + 1, 0
        found = (place for place, pattern in enumerate(_TIMES) if pattern.search(column.name))
        return next(found, len(_TIMES)), len(column.path.steps)

    return min(times, key=rank)


def _midnights(column: DraftColumn) -> DraftColumn:
    """A column of dates as one of instants, for a source that says no more than the day."""
    note = "; ".join(filter(None, [column.note, "guess: the day's midnight in UTC"]))
    written = TimeForm.DATE if column.written is TimeForm.ISO else column.written
    values = tuple(datetime.combine(day, time.min, UTC) for day in column.values if isinstance(day, date))
    return replace(column, type=ColumnType.TIMESTAMP, written=written, values=values, note=note)


def key_columns(columns: Sequence[DraftColumn], cutting: DraftColumn) -> list[DraftColumn]:
    """The column, or the fewest columns, whose values differ in every record; windows are cut by `cutting`.

    Raises:
        ConfigurationError: no field has a value in every record.
    """
    known = [column for column in columns if column.always and column.type in _IDENTIFYING]

    def rank(column: DraftColumn) -> tuple[int, int]:
        found = (place for place, pattern in enumerate(_KEYS) if pattern.search(column.name))
        return next(found, len(_KEYS)), len(column.path.steps)

    known.sort(key=rank)
    if single := next((column for column in known if column.unique), None):
        return [single]
    candidates = [*known[:6], *([] if cutting.origin else [cutting])]
    if not candidates:
        raise ConfigurationError(
            "no field of the sample has a value in every record, so that nothing can identify a record.",
            remedy="Give another sample, or write the file by hand.",
        )
    for size in range(1, 4):
        for chosen in combinations(candidates, size):
            if differ(chosen):
                return list(chosen)
    return candidates


def differ(columns: Sequence[DraftColumn]) -> bool:
    """Whether no two records have the same values in all these columns."""
    rows = list(zip(*(column.values for column in columns), strict=True))
    return len(set(map(str, rows))) == len(rows)
