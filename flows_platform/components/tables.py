"""The warehouse table that a declaration describes or names."""

from dataclasses import replace
from importlib import import_module

from flows_platform.components.source import Finer
from flows_platform.components.validation import TableDeclaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, TableSchema, WarehouseTable
from flows_platform.settings import Settings


def warehouse_table(source: TableDeclaration, settings: Settings) -> WarehouseTable:
    """The declared table: built from its columns, or imported by its name in Python.

    Raises:
        ConfigurationError: there is no such table in Python, or the columns contradict each other.
    """
    if source.table:
        return _from_python(source.table, settings)
    columns = tuple(
        Column(
            column.name,
            column.type,
            column.description,
            nullable=not column.required,
            truncates=column.finer is Finer.TRUNCATE,
        )
        for column in source.columns
    )
    key, *rest = source.key_columns
    schema = TableSchema(
        source.name, source.description, columns, key=key, time=source.time or "", key_rest=tuple(rest)
    )
    destination = source.destination
    if destination is None:
        return WarehouseTable(schema, ())
    return WarehouseTable(schema, tuple(destination.cluster_by), granularity=destination.partition_by)


def _from_python(name: str, settings: Settings) -> WarehouseTable:
    module, _, attribute = name.partition(":")
    try:
        table = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"table: {name!r} cannot be imported ({error}).") from error
    if not isinstance(table, WarehouseTable):
        raise ConfigurationError(f"table: {name!r} is not a WarehouseTable.")
    return replace(table, schema=replace(table.schema, epoch=settings.epoch)) if table.event_time else table
