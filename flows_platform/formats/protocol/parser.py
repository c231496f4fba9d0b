"""The two ways to read text formats, and what one leaves to the other."""

from collections.abc import Iterable
from enum import StrEnum

from flows_platform.domain.schema import Column, ColumnType

# Arrow rounds numbers to doubles without a word, and has no type for any JSON value.
ARROW_READS = {ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP, ColumnType.BOOL}


class Parser(StrEnum):
    """What reads a document: templates where they prove that the reference would give the same, or that alone.

    The reference is ijson for JSON, lxml for XML and Python's own reader for CSV.
    """

    TEMPLATE = "template"
    REFERENCE = "reference"

    @classmethod
    def _missing_(cls, value: object) -> "Parser | None":
        """The name of the parser that came before templates, until 0.2."""
        return cls.TEMPLATE if value == "fast" else None


def left_to_reference(columns: Iterable[Column]) -> list[Column]:
    """Those of the columns that Arrow would read otherwise."""
    return [column for column in columns if column.type not in ARROW_READS]
