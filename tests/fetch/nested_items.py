"""An API of nested items for paging tests: its definition and its bodies."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.time_parameters import TimeParameters
from flows_platform.formats.protocol.names import WireFormat

from .scripted import ScriptedServer

ITEMS = TableSchema(
    "items",
    "Items.",
    (
        Column("id", ColumnType.INT64, "The number."),
        Column("seen", ColumnType.TIMESTAMP, "When."),
        Column("name", ColumnType.STRING, "What.", nullable=True),
    ),
    key="id",
    time="seen",
)
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))
MAPPING = RecordMapping(
    (
        ColumnSource("id", ColumnType.INT64, (RecordPath.parse("item.id"),)),
        ColumnSource("seen", ColumnType.TIMESTAMP, (RecordPath.parse("item.seen"),)),
        ColumnSource("name", ColumnType.STRING, (RecordPath.parse("item.name"),)),
    )
)
TOTAL = RecordPath.parse("total")
TIME = TimeParameters(after="from", before="to", before_inclusive=False)


def item(number: int, **changes: object) -> dict[str, object]:
    seen = (START + timedelta(seconds=number)).isoformat()
    return {"item": {"id": number, "seen": seen, "name": f"n{number}"} | changes}


def items(first: int, last: int) -> list[dict[str, object]]:
    return [item(number) for number in range(first, last + 1)]


def body(records: Sequence[object], **around: object) -> bytes:
    return json.dumps({"records": records, **around}).encode()


def api(server: ScriptedServer, **changes: object) -> WindowedApi:
    fields: dict[str, object] = {
        "time": TIME,
        "format": WireFormat.JSON,
        "format_parameter": None,
        "verification": Verification.FRAMING,
        "mapping": MAPPING,
        "head_counts": False,
    }
    return WindowedApi(url=f"{server.origin}/items", schema=ITEMS, **fields | changes)  # type: ignore[arg-type]
