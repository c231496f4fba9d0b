"""Rules for how the values of columns are written: instants and dates alone have a form."""

from collections.abc import Iterator

from flows_platform.columns.mapping import INSTANTS
from flows_platform.columns.time_forms import TimeForm
from flows_platform.components.source import TableKeys
from flows_platform.declared import Fault
from flows_platform.domain.schema import ColumnType


def form_faults(source: TableKeys) -> Iterator[Fault]:
    """Keys that would say nothing about their column, and forms that no value of it can have."""
    for index, column in enumerate(source.columns):
        given, at = column.model_fields_set, ("columns", index)
        if "written" in given and column.type not in INSTANTS:
            yield Fault((*at, "written"), f"a column of type {column.type} has no form; a timestamp or date has")
        elif column.type is ColumnType.DATE and column.written is TimeForm.ISO_UTC:
            yield Fault((*at, "written"), "iso_utc is a time; a date is written as iso, in a strftime text or a number")
        if "finer" in given and column.type is not ColumnType.TIMESTAMP:
            yield Fault((*at, "finer"), f"a column of type {column.type} has no fraction of a second")
