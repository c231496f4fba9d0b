"""Rules for snapshots: sources that give their whole list, and no range of it."""

from collections.abc import Iterator

from flows_platform.columns.origins import Origin
from flows_platform.components.faults.requests import texts_of
from flows_platform.components.source import TableKeys
from flows_platform.declared import Fault
from flows_platform.fetch.range_templates import has_template


def snapshot_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    api = source.api
    if not api.snapshot:
        if api.time is None:
            yield Fault(("api",), "`time` is missing: say how a range is requested, or declare `snapshot: true`")
        return
    if api.time is not None:
        yield Fault(("api", "time"), "a snapshot is the whole list: leave `time` out, or `snapshot`")
    if source.table:
        yield Fault(("api", "snapshot"), "it needs `columns`: a table in Python has no column `from: window_start`")
    columns = {column.name: column for column in source.columns}
    time = columns.get(source.time or "")
    # guard: the rows of a snapshot belong to its window
    if time and time.origin != Origin.WINDOW_START:
        yield Fault(
            ("time",), f"the rows of a snapshot belong to its window: {time.name!r} must be `from: window_start`"
        )
    for at, text in texts_of(api):
        # guard: a snapshot asks for no range
        if has_template(text):
            yield Fault(at, "it names a bound of a range, and a snapshot has none: declare `time` instead")
    # guard: the lists of earlier windows are kept
    if "look_back" in source.model_fields_set and source.look_back != 0:
        yield Fault(("look_back",), "a snapshot's earlier windows keep the lists that they have: leave it out")
    if source.moving:
        yield Fault(("moving",), "every window of a snapshot has the whole list: records do not move between them")
