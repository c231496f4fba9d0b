"""Made-up events of a table with its own time column and a column of every type, in days of UTC and of a time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flows_platform.domain.schema import Column, ColumnType, Granularity, TableSchema, WarehouseTable
from flows_platform.domain.windows import WindowGrid
from tests.warehouse.flow_rows import Row

EVENTS = TableSchema(
    name="events",
    description="One row an event.",
    columns=(
        Column("name", ColumnType.STRING, "What identifies it."),
        Column("seen", ColumnType.TIMESTAMP, "When it was."),
        Column("score", ColumnType.FLOAT64, ""),
        Column("weight", ColumnType.FLOAT64, "", nullable=True),
        Column("known", ColumnType.BOOL, ""),
        Column("exploited", ColumnType.BOOL, "", nullable=True),
        Column("details", ColumnType.JSON, "", nullable=True),
        Column("number", ColumnType.INT64, "", nullable=True),
        Column("fixed", ColumnType.TIMESTAMP, "", nullable=True),
        Column("due", ColumnType.DATE, "", nullable=True),
        Column("amount", ColumnType.NUMERIC, "", nullable=True),
    ),
    key="name",
    time="seen",
)
EVENTS_TABLE = WarehouseTable(EVENTS, (), granularity=Granularity.DAY)

DAYS = WindowGrid(datetime(2024, 3, 1, tzinfo=UTC), timedelta(days=1))
BERLIN = ZoneInfo("Europe/Berlin")
LOCAL_DAYS = WindowGrid(datetime(2024, 3, 1, tzinfo=BERLIN).astimezone(UTC), timedelta(days=1), BERLIN)


def event(name: str, seen: datetime, **changed: object) -> Row:
    """An event, its times as microseconds since 1970, and the day when it is due as days."""
    values: dict[str, object] = {
        "name": name,
        "seen": microseconds(seen),
        "score": 7.8,
        "weight": None,
        "known": True,
        "exploited": None,
        "details": None,
        "number": None,
        "fixed": None,
        "due": None,
        "amount": None,
    }
    return tuple((values | changed).values())  # type: ignore[arg-type]  # the test's own values


def microseconds(instant: datetime) -> int:
    """An instant as the digest counts it."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
