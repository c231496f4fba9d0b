"""Corner cases of JSON values in all text formats: rows, rejects or PlatformErrors, and no other exception."""

import io
import random

import pytest

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.errors import PlatformError, SourceRefused
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import WireFormat

COLUMNS = tuple(Column(kind.value, kind, "", nullable=kind is not ColumnType.INT64) for kind in ColumnType)
SCHEMA = TableSchema("corners", "", COLUMNS, key="int64", time="timestamp")
VALUES = [
    "null", "1", "-0", "5.0", "01", "1.", ".5", "+1", "1e999", "1e999999999999999999", "-1E+9999999999999999999999",
    "9" * 5000, "1" + "0" * 400, "NaN", "Infinity", "tru", "true", "[]", "[1,", "{}", '{"a":NaN}', '{"a":1,"a":2}',
    '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', '"2024-03-01T00:00:00.1234567Z"',
    '"2024-02-30"', '"0000-01-01"', '"2024-03-01"', "0.1234567890123", '"1e28"',
    '"\\ud800"', '"\ufeff"', '"\x0c"', "\x0b1", '"x', '""', "\x00",
]  # fmt: skip
BEYOND = b'{"int64":7,"float64":-1E+9999999999999999999999}'


def read(wire: WireFormat, body: bytes) -> tuple[int, int]:
    """Rows and rejects."""
    rows = rejects = 0
    document = open_document(wire, io.BytesIO(body), Layout(SCHEMA, proven=True))
    for piece in document.slices():
        casted = cast_slice(SCHEMA, piece, 1)
        rows, rejects = rows + casted.batch.num_rows, rejects + len(casted.rejects)
    return rows, rejects


def record(dice: random.Random) -> str:
    if dice.random() < 0.2:
        return dice.choice(VALUES)
    fields = [(kind, "7" if kind is ColumnType.INT64 else "null") for kind in ColumnType]
    odd = dice.randrange(len(fields) + 2)  # beyond the last: a good record
    return "{" + ",".join(f'"{k}":{dice.choice(VALUES) if n == odd else v}' for n, (k, v) in enumerate(fields)) + "}"


def test_each_document_is_read_or_refused_by_type() -> None:
    dice = random.Random(7)
    outcomes = set()
    for _ in range(400):
        records = [record(dice) for _ in range(dice.randint(1, 3))]
        csv = "\n".join([",".join(ColumnType), *(",".join(dice.choices(VALUES, k=len(ColumnType))) for _ in records)])
        for wire, text in [
            (WireFormat.NDJSON, "\n".join(records)),
            (WireFormat.JSON, '{"records":[' + ",".join(records) + "]}"),
            (WireFormat.CSV, csv + "\n"),
        ]:
            try:
                rows, rejects = read(wire, text.encode())
            except PlatformError as error:
                outcomes.add((wire, type(error).__name__))
            else:
                assert rows + rejects == len(records)
                outcomes |= {(wire, "rows")} if rows else {(wire, "rejects")}
    assert {(wire, "rows") for wire in (WireFormat.NDJSON, WireFormat.JSON)} <= outcomes


@pytest.mark.parametrize("before", [0, 200_000], ids=["in the first piece", "in a block"])
def test_a_number_beyond_decimals_refuses_a_document_and_rejects_a_line(before: int) -> None:
    good = [
        b'{"int64":7,"string":null,"timestamp":null,"float64":0.5,"bool":null,"json":null,"date":null,"numeric":0.5}'
    ] * (before // 10)
    with pytest.raises(SourceRefused, match=r"a number whose exponent is beyond 10\^18"):
        read(WireFormat.JSON, b'{"records":[' + b",".join([*good, BEYOND]) + b"]}")
    assert read(WireFormat.NDJSON, b"\n".join([*good, BEYOND]) + b"\n") == (len(good), 1)
