"""Renders the tables of `schema` for SQLAlchemy. Names no column and builds no statement."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from flows_platform.domain.decimals import DECIMALS, DIGITS
from flows_platform.domain.schema import Column as Declared
from flows_platform.domain.schema import ColumnType
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.schema import KEY, SqlTable


class UtcTimestamp(TypeDecorator[datetime]):
    """An instant to the microsecond. sqlite has no zones: it holds UTC as text, which sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


SQL_TYPES: dict[ColumnType, TypeEngine[Any]] = {
    # In sqlite an INTEGER that is the whole primary key is the rowid, and needs no second index.
    ColumnType.INT64: BigInteger().with_variant(Integer(), "sqlite"),
    ColumnType.STRING: Text(),
    ColumnType.TIMESTAMP: UtcTimestamp(),
    ColumnType.FLOAT64: Double(),
    ColumnType.BOOL: Boolean(),
    ColumnType.JSON: Text(),
    ColumnType.DATE: Date(),
    # sqlite would hold a double.
    ColumnType.NUMERIC: Numeric(DIGITS, DECIMALS).with_variant(Text(), "sqlite"),
}

METADATA = MetaData()


def _table(declared: SqlTable) -> Table:
    indexes = [Index(f"ix_{declared.name}_{'_'.join(names)}", *names) for names in declared.indexes]
    columns = [_column(column, declared) for column in declared.columns]
    # Child rows are stored in the order of their key, so those of one CVE are together.
    return Table(
        declared.name,
        METADATA,
        *columns,
        *indexes,
        comment=declared.description,
        sqlite_with_rowid=declared is schema.CVES,
    )


def _column(column: Declared, declared: SqlTable) -> Column[Any]:
    is_parent = declared is schema.CVES
    reference = [] if is_parent or column.name != KEY else [ForeignKey(f"{schema.CVES.name}.{KEY}", ondelete="CASCADE")]
    return Column(
        column.name,
        SQL_TYPES[column.type],
        *reference,
        primary_key=column.name in declared.key,
        autoincrement=False,
        nullable=column.nullable,
        comment=column.description,
    )


BY_NAME = {declared.name: _table(declared) for declared in schema.TABLES}
CVES = BY_NAME[schema.CVES.name]
CHILDREN = tuple(BY_NAME[declared.name] for declared in schema.CHILDREN)
