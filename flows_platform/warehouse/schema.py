"""BigQuery's form of tables, and how an existing table differs from the declared one. No I/O."""

import re
from collections.abc import Iterator

from google.cloud import bigquery

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, Granularity, WarehouseTable

# The names that BigQuery's API returns, so that declared and existing columns compare equal.
BIGQUERY_TYPES = {
    ColumnType.INT64: "INTEGER",
    ColumnType.STRING: "STRING",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.FLOAT64: "FLOAT",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.JSON: "STRING",  # BigQuery's JSON type would not return the text that was digested
    ColumnType.DATE: "DATE",
    ColumnType.NUMERIC: "NUMERIC",
}
PARTITIONS = {
    Granularity.HOUR: bigquery.TimePartitioningType.HOUR,
    Granularity.DAY: bigquery.TimePartitioningType.DAY,
    Granularity.MONTH: bigquery.TimePartitioningType.MONTH,
    Granularity.YEAR: bigquery.TimePartitioningType.YEAR,
}


def identifier(name: str) -> str:
    """`name`, checked so that it is safe between backquotes.

    BigQuery allows more, but there `table$20140101` addresses a partition while the emulator creates a table of that
    name, and a backquote would end the quoting.

    Raises:
        ConfigurationError: the name has other characters than ASCII letters, digits and underscores.
    """
    # guard: characters of names in statements
    if not re.fullmatch(r"[A-Za-z0-9_]+", name, re.ASCII):
        raise ConfigurationError(
            f"{name!r} cannot name a dataset, table or column here.",
            remedy="Use ASCII letters, digits and underscores.",
        )
    return name


def schema_field(column: Column) -> bigquery.SchemaField:
    """A column with its mode and description."""
    return bigquery.SchemaField(
        identifier(column.name),
        BIGQUERY_TYPES[column.type],
        mode="NULLABLE" if column.nullable else "REQUIRED",
        description=column.description,
    )


def target_table(reference: bigquery.TableReference, table: WarehouseTable) -> bigquery.Table:
    """The table in BigQuery's form: partitioned by its instant, clustered."""
    declared = bigquery.Table(reference, schema=[schema_field(column) for column in table.columns])
    declared.description = table.schema.description
    declared.time_partitioning = bigquery.TimePartitioning(
        type_=PARTITIONS[table.granularity], field=table.instant.name
    )
    declared.clustering_fields = list(table.clustering) or None
    return declared


def _columns(table: bigquery.Table) -> list[str]:
    return [f"{field.name} {_type(field)} {field.mode}" for field in table.schema]


def _type(field: bigquery.SchemaField) -> str:
    """The type with its parameters: NUMERIC(10, 2) would round, and STRING(10) refuse long texts."""
    parameters = [field.precision, field.scale, field.max_length]
    given = ", ".join(str(parameter) for parameter in parameters if parameter is not None)
    return f"{field.field_type}({given})" if given else field.field_type


def _partitioning(table: bigquery.Table) -> str:
    partitioning = table.time_partitioning
    return f"{partitioning.type_} on {partitioning.field}" if partitioning else "none"


def _clustering(table: bigquery.Table) -> str:
    return ", ".join(table.clustering_fields or ()) or "none"


def differences(declared: bigquery.Table, found: bigquery.Table) -> Iterator[str]:
    """One phrase for every difference in columns, partitioning and clustering. Descriptions may differ."""
    wanted, there = _columns(declared), _columns(found)
    missing = [column for column in wanted if column not in there]
    unknown = [column for column in there if column not in wanted]
    if missing:
        yield f"missing {', '.join(missing)}"
    if unknown:
        yield f"undeclared {', '.join(unknown)}"
    if not missing and not unknown and wanted != there:
        yield f"columns in the order {', '.join(field.name for field in found.schema)}"
    for what, rendering in (("partitioning", _partitioning), ("clustering", _clustering)):
        if rendering(declared) != rendering(found):
            yield f"{what} {rendering(found)} instead of {rendering(declared)}"
