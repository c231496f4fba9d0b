"""Names, column types, and the differences between a declared and an existing table."""

import pytest
from google.cloud import bigquery
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, Granularity, TableSchema, WarehouseTable
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.jobs import first_free
from flows_platform.warehouse.schema import differences, identifier, schema_field, target_table
from flows_platform.warehouse.sql import CANONICAL

REFERENCE = bigquery.TableReference.from_string("p.d.flows")


@pytest.mark.parametrize("name", ["flows$2014010100", "a-b", "a`b", "a.b", "", "é", "a b", "a\n"])
def test_names_that_could_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        identifier(name)


@pytest.mark.parametrize("column_type", ColumnType)
def test_every_column_type_is_rendered(column_type: ColumnType) -> None:
    field = schema_field(Column("c", column_type, "what it is", nullable=True))
    assert (field.mode, field.description) == ("NULLABLE", "what it is")
    assert schema_field(Column("c", column_type, "")).mode == "REQUIRED"
    assert column_type in CANONICAL


def test_the_target_is_partitioned_by_the_hour_and_clustered() -> None:
    table = target_table(REFERENCE, FLOWS_TABLE)
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("HOUR", "event_time")
    assert table.clustering_fields == ["src_comp", "dst_comp"]
    assert [field.name for field in table.schema] == [*FLOWS_TABLE.schema.names, "event_time"]
    assert not list(differences(table, target_table(REFERENCE, FLOWS_TABLE)))


@pytest.mark.parametrize("granularity", Granularity)
def test_a_time_with_its_zone_is_the_partition_itself(granularity: Granularity) -> None:
    schema = TableSchema("events", "", (Column("at", ColumnType.TIMESTAMP, ""),), "at", "at")
    table = target_table(REFERENCE, WarehouseTable(schema, (), granularity=granularity))
    assert (table.time_partitioning.type_, table.time_partitioning.field) == (granularity.name, "at")
    assert [field.name for field in table.schema] == ["at"]
    assert not table.clustering_fields


def test_each_difference_is_named() -> None:
    declared, found = target_table(REFERENCE, FLOWS_TABLE), target_table(REFERENCE, FLOWS_TABLE)
    found.schema = [*found.schema[1:], bigquery.SchemaField("extra", "STRING", "NULLABLE")]
    found.time_partitioning = bigquery.TimePartitioning(type_="DAY", field="event_time")
    found.clustering_fields = None
    assert list(differences(declared, found)) == [
        "missing id INTEGER REQUIRED",
        "undeclared extra STRING NULLABLE",
        "partitioning DAY on event_time instead of HOUR on event_time",
        "clustering none instead of src_comp, dst_comp",
    ]


def test_a_type_with_parameters_is_a_difference() -> None:
    columns = (Column("at", ColumnType.TIMESTAMP, ""), Column("amount", ColumnType.NUMERIC, ""))
    table = WarehouseTable(TableSchema("payments", "", columns, "at", "at"), ())
    declared, found = target_table(REFERENCE, table), target_table(REFERENCE, table)
    assert not list(differences(declared, found))
    found.schema = [found.schema[0], bigquery.SchemaField("amount", "NUMERIC", "REQUIRED", precision=10, scale=2)]
    assert list(differences(declared, found)) == [
        "missing amount NUMERIC REQUIRED",
        "undeclared amount NUMERIC(10, 2) REQUIRED",
    ]


def test_another_order_of_columns_is_a_difference() -> None:
    declared, found = target_table(REFERENCE, FLOWS_TABLE), target_table(REFERENCE, FLOWS_TABLE)
    found.schema = list(reversed(found.schema))
    assert next(differences(declared, found)).startswith("columns in the order event_time, byte_count")


@given(st.integers(0, 5000))
def test_the_first_free_number_is_found_with_few_questions(free: int) -> None:
    asked: list[int] = []

    def taken(number: int) -> bool:
        asked.append(number)
        return number < free

    assert first_free(taken) == free
    assert len(asked) <= 2 * (free.bit_length() + 1)
