"""The columns of a table, defined once; Arrow, BigQuery and the other technologies map every column type."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from flows_platform.domain.errors import ConfigurationError

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


OURS = "_flows_"  # prefix of the names that SQL statements define; a column's name must not begin with it
# Prefixes that BigQuery reserves, in any case, and the longest name that it accepts.
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


def plain_name(text: str, *, otherwise: str) -> str:
    """The text in lower case, with _ for what no name holds; `otherwise` if nothing remains. A digit may be first."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or otherwise


def fault_of_name(name: str) -> str:
    """Why no column in the warehouse may have the name; empty if one may."""
    if not (name.isascii() and name.isidentifier() and len(name) <= LONGEST_NAME):
        return f"a column's name is a letter or _, then letters, digits and _, {LONGEST_NAME} at most"
    if name.lower().startswith(OURS):
        return f"names that begin with {OURS} are the platform's own"
    reserved = [prefix for prefix in RESERVED if name.lower().startswith(prefix)]
    return f"names that begin with {reserved[0].upper()} are BigQuery's own" if reserved else ""


class ColumnType(StrEnum):
    """The types a column may have. Every rendering must cover all of them."""

    INT64 = "int64"
    STRING = "string"
    TIMESTAMP = "timestamp"  # UTC, microseconds
    FLOAT64 = "float64"  # finite
    BOOL = "bool"
    JSON = "json"  # any JSON value as text, held as text everywhere
    DATE = "date"  # of the years 1 to 9999, without a time or zone
    NUMERIC = "numeric"  # an exact decimal: 29 digits before the point, 9 after it


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a value is required unless `nullable`.

    A TIMESTAMP that `truncates` drops all digits finer than a microsecond; others reject such a time.
    """

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    truncates: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a record, in order.

    `key` names the column that identifies a record, `time` the one that puts it into a window. If only several columns
    identify a record, `key_rest` names the others. The time is a TIMESTAMP, or an INT64 that counts whole seconds since
    `epoch`.
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
        """The columns that together identify a record."""
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
    """A `TableSchema` as the warehouse stores it, partitioned on the time of its records.

    If the schema's time counts seconds, the warehouse derives the column `event_time` from it: `schema.epoch` + the
    time. If it is a TIMESTAMP, it is the partition column itself, and `event_time` is None. `computed` are further
    tables that are computed from this one; reports may read them too.
    """

    schema: TableSchema
    clustering: tuple[str, ...]
    event_time: Column | None = None
    granularity: Granularity = Granularity.HOUR
    computed: tuple["WarehouseTable", ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table whose rows may lack an instant to partition on.

        Raises:
            ConfigurationError: BigQuery or the platform reserves a column's name; the time counts seconds and there is
                no `event_time`, or it is a TIMESTAMP and there is one; or time or key may be NULL: such a row belongs
                to no window, so no window would ever replace it.
        """
        names = [column.name for column in self.columns]
        for index, name in enumerate(names):
            same = [earlier for earlier in names[:index] if earlier.lower() == name.lower()]
            if why := f"{same[0]!r} differs from it only in case" if same else fault_of_name(name):
                raise ConfigurationError(
                    f"the column {name!r} of {self.schema.name}: {why}.", remedy="Choose another name."
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
        """The TIMESTAMP column that windows and partitions are defined on."""
        return self.event_time or self.schema.column(self.schema.time)
