"""A table whose rows may belong to no window is refused."""

import pytest

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable

EVENT = Column("event", ColumnType.TIMESTAMP, "")


def table(time: Column, key: Column, event_time: Column | None = None) -> WarehouseTable:
    return WarehouseTable(TableSchema("t", "", (time, key), key=key.name, time=time.name), (), event_time)


@pytest.mark.parametrize("nullable", ["time", "key"])
def test_time_and_key_are_never_null(nullable: str) -> None:
    time, key = (
        Column(name, kind, "", nullable=name == nullable)
        for name, kind in (("time", ColumnType.TIMESTAMP), ("key", ColumnType.STRING))
    )
    with pytest.raises(ConfigurationError, match=f"the column '{nullable}' of t must not be nullable"):
        table(time, key)


@pytest.mark.parametrize(("kind", "event"), [(ColumnType.INT64, None), (ColumnType.TIMESTAMP, EVENT)])
def test_an_instant_is_there_once(kind: ColumnType, event: Column | None) -> None:
    with pytest.raises(ConfigurationError, match="exactly one of the two"):
        table(Column("time", kind, ""), Column("key", ColumnType.STRING, ""), event)
