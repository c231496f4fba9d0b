"""The two parsers of JSON, and what the fast one leaves to the other."""

from collections.abc import Iterable
from enum import StrEnum

from flows_platform.domain.schema import Column, ColumnType

# Arrow rounds numbers to doubles without a word, and has no type for any JSON value.
ARROW_READS = {ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP, ColumnType.BOOL}


class Parser(StrEnum):
    """What reads a JSON document: ijson, or Arrow where it is certain that ijson would give the same records."""

    REFERENCE = "reference"
    FAST = "fast"


def left_to_reference(columns: Iterable[Column]) -> list[Column]:
    """Those of the columns that Arrow would read otherwise."""
    return [column for column in columns if column.type not in ARROW_READS]
