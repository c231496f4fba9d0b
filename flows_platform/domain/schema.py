"""The columns of a table, written down once; each technology renders them by one exhaustive map of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from flows_platform.domain.errors import ConfigurationError

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


OURS = "_flows_"  # how names begin that statements give to tables: no column's may
# BigQuery's own, in any case, and the longest that it takes.
RESERVED = (
    "_table_",
    "_file_",
    "_partition",
    "_row_timestamp",
    "__root__",
    "_colidentifier",
    "_change_sequence_number",
    "_change_type",
    "_change_timestamp",
)
LONGEST_NAME = 300


def fault_of_name(name: str) -> str:
    """Why no column may have the name in the warehouse; empty where one may."""
    if not (name.isascii() and name.isidentifier() and len(name) <= LONGEST_NAME):
        return f"a column's name is a letter or _, then letters, digits and _, {LONGEST_NAME} at most"
    if name.lower().startswith(OURS):
        return f"names that begin with {OURS} are the platform's own"
    reserved = [each for each in RESERVED if name.lower().startswith(each)]
    return f"names that begin with {reserved[0].upper()} are BigQuery's own" if reserved else ""


class ColumnType(StrEnum):
    """The types a column may have. Every rendering must cover all of them."""

    INT64 = "int64"
    STRING = "string"
    TIMESTAMP = "timestamp"  # UTC, microseconds
    FLOAT64 = "float64"  # finite
    BOOL = "bool"
    JSON = "json"  # any JSON value as text, held as text everywhere


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a value is required unless `nullable`.

    A TIMESTAMP that `truncates` drops what of a time is finer than a microsecond; others reject it.
    """

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    truncates: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a record, in order; `key` names the one that identifies it, `time` the one that windows cut.

    Where it takes several columns to identify a record, `key_rest` names the others. The time is a TIMESTAMP, or
    an INT64 that counts whole seconds since `epoch`.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: str
    time: str
    epoch: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    key_rest: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a record together."""
        return (self.key, *self.key_rest)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


class Granularity(StrEnum):
    """How long one of a table's time partitions is; BigQuery allows 10,000 of them in a table."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class WarehouseTable:
    """A `TableSchema` as it rests in the warehouse, partitioned on the instant of its records.

    Where the schema's time counts seconds, `event_time` names the column that is derived from it there:
    `schema.epoch` + the time. Where it is a TIMESTAMP, that is the partition column itself and `event_time` is None.
    """

    schema: TableSchema
    clustering: tuple[str, ...]
    event_time: Column | None = None
    granularity: Granularity = Granularity.HOUR

    def __post_init__(self) -> None:
        """Refuses a table without an instant to partition on in each row.

        Raises:
            ConfigurationError: BigQuery takes no column of that name, or the platform keeps it; the time counts seconds
                and there is no `event_time`, or it is a TIMESTAMP and there is; or time or key may be NULL: such a row
                is of no window, so none would replace it.
        """
        names = [column.name for column in self.columns]
        for place, name in enumerate(names):
            same = [each for each in names[:place] if each.lower() == name.lower()]
            if why := f"{same[0]!r} is one too, and case tells no columns apart" if same else fault_of_name(name):
                raise ConfigurationError(
                    f"the column {name!r} of {self.schema.name}: {why}.", remedy="Name it otherwise."
                )
        for name in (self.schema.time, *self.schema.keys):
            if self.schema.column(name).nullable:
                raise ConfigurationError(f"the column {name!r} of {self.schema.name} must not be nullable.")
        derived = self.schema.column(self.schema.time).type is ColumnType.INT64
        if derived is not (self.event_time is not None):
            raise ConfigurationError(
                f"{self.schema.name} is partitioned on its TIMESTAMP {self.schema.time!r}, or on an event_time derived "
                "from seconds: exactly one of the two."
            )

    @property
    def name(self) -> str:
        return self.schema.name

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.schema.columns, self.event_time) if self.event_time else self.schema.columns

    @property
    def instant(self) -> Column:
        """The TIMESTAMP column that windows cut and partitions follow."""
        return self.event_time or self.schema.column(self.schema.time)
