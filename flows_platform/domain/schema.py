"""The columns of a table, written down once; each technology renders them by one exhaustive map of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


class ColumnType(StrEnum):
    """The types a column may have. Every rendering must cover all of them."""

    INT64 = "int64"
    STRING = "string"
    TIMESTAMP = "timestamp"  # UTC, microseconds


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a value is required unless `nullable`."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a record, in order; `key` names the one that identifies it, `time` the one that windows cut."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: str
    time: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True, slots=True)
class WarehouseTable:
    """A `TableSchema` as it rests in the warehouse, partitioned by the hour on `event_time`.

    `event_time` is derived there: `epoch` + the schema's time column, which counts whole seconds.
    """

    schema: TableSchema
    clustering: tuple[str, ...]
    event_time: Column
    epoch: datetime = datetime(2014, 1, 1, tzinfo=UTC)

    @property
    def name(self) -> str:
        return self.schema.name

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.schema.columns, self.event_time)
