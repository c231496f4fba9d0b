"""Dates and exact decimals through every format: however they are written, the rows and their digest are the same."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Context, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows_platform.columns.batches import batch_digest
from flows_platform.columns.casting import cast_slice
from flows_platform.domain.decimals import plain
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.verification import RowDigest, Value
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.canonical import canonical_rows, sum_of_hashes
from flows_platform.formats.protocol.names import Parser, WireFormat

from .templates_alike import blocks_of, read_alike
from .test_encode_formats import document
from .test_guards import Cut

SCHEMA = TableSchema(
    "exact",
    "",
    (
        Column("id", ColumnType.INT64, ""),
        Column("amount", ColumnType.NUMERIC, ""),
        Column("day", ColumnType.DATE, ""),
        Column("fee", ColumnType.NUMERIC, "", nullable=True),
        Column("due", ColumnType.DATE, "", nullable=True),
    ),
    "id",
    "id",
)
EXACT = Context(prec=60)
DECIMALS = (st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**11), 10**11)).map(
    lambda billionths: Decimal(f"{billionths}e-9")
)
ROWS = st.lists(st.tuples(DECIMALS, st.dates(), st.none() | DECIMALS, st.none() | st.dates()), min_size=1, max_size=12)
# The same number, written in other ways.
WRITINGS: list[Callable[[Decimal], str]] = [
    plain,
    lambda number: f"{number:f}",
    lambda number: f"{number:f}000",
    lambda number: f"{number.scaleb(9, EXACT):f}".partition(".")[0] + "e-9",
    lambda number: f"{number:.45E}",
]
type Typed = tuple[Decimal, date, Decimal | None, date | None]


def digest_of(wire: WireFormat, body: bytes, parser: Parser = Parser.TEMPLATE) -> RowDigest:
    """The digest of the document's rows; no record may be rejected."""
    found = RowDigest()
    source = io.BytesIO(body) if wire is WireFormat.ARROW else Cut(body, [700, 33, 4096])
    for piece in open_document(wire, source, Layout(SCHEMA, parser=parser)).slices():
        casted = cast_slice(SCHEMA, piece, 1)
        assert casted.rejects == []
        found += batch_digest(casted.batch)
    return found


def expected(rows: Sequence[Typed]) -> RowDigest:
    return RowDigest.of(
        (number, amount, _days(day), fee, _days(due)) for number, (amount, day, fee, due) in enumerate(rows)
    )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _days(day: date | None) -> int | None:
    return None if day is None else (day - date(1970, 1, 1)).days


@pytest.mark.parametrize("wire", WireFormat)
@given(rows=ROWS)
def test_a_served_row_comes_back_with_its_digest(wire: WireFormat, rows: list[Typed]) -> None:
    served: list[tuple[Value, ...]] = [
        (number, plain(amount), day.isoformat(), None if fee is None else plain(fee), _iso(due))
        for number, (amount, day, fee, due) in enumerate(rows)
    ]
    body = document(wire, SCHEMA, served)
    with blocks_of(300):
        assert digest_of(wire, body) == digest_of(wire, body, Parser.REFERENCE) == expected(rows)
    assert sum_of_hashes(canonical_rows(SCHEMA, served)) == expected(rows).total


def texts(rows: Sequence[Typed], write: Callable[[Decimal], str]) -> Iterator[list[str | None]]:
    for number, (amount, day, fee, due) in enumerate(rows):
        yield [
            str(number), write(amount), day.isoformat(), None if fee is None else write(fee), _iso(due)
        ]  # fmt: skip


def as_json(row: Sequence[str | None], *, quoted: bool) -> str:
    kinds = [ColumnType.INT64, *([] if quoted else [ColumnType.NUMERIC])]
    members = [
        f'"{column.name}":{"null" if text is None else text if column.type in kinds else json.dumps(text)}'
        for column, text in zip(SCHEMA.columns, row, strict=True)
    ]
    return "{" + ",".join(members) + "}"


def as_xml(row: Sequence[str | None]) -> str:
    inner = ["" if text is None else f"<{name}>{text}</{name}>" for name, text in zip(SCHEMA.names, row, strict=True)]
    return f"<record>{''.join(inner)}</record>"


def bodies(rows: list[list[str | None]]) -> Iterator[tuple[WireFormat, str]]:
    for quoted in (False, True):
        records = [as_json(row, quoted=quoted) for row in rows]
        yield WireFormat.NDJSON, "".join(f"{record}\n" for record in records)
        yield WireFormat.JSON, f'{{"records":[{",".join(records)}],"end":{{"count":{len(rows)}}}}}'
    yield WireFormat.XML, f'<records>{"".join(map(as_xml, rows))}<?end count="{len(rows)}"?></records>'
    lines = [",".join(SCHEMA.names), *(",".join(text or "" for text in row) for row in rows)]
    yield WireFormat.CSV, "".join(f"{line}\n" for line in lines)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, write=st.sampled_from(WRITINGS))
def test_every_writing_has_one_digest(rows: list[Typed], write: Callable[[Decimal], str]) -> None:
    with blocks_of(300):
        for wire, body in bodies(list(texts(rows, write))):
            assert digest_of(wire, body.encode()) == expected(rows), wire


@pytest.mark.parametrize("parser", Parser)
@pytest.mark.parametrize("wire", [WireFormat.NDJSON, WireFormat.JSON])
@pytest.mark.parametrize(
    ("number", "read"),
    [
        (f"1.{'0' * 45}E-3", Decimal("0.001")),
        (f"-12.{'0' * 70}", Decimal(-12)),
        ("0e-400", Decimal(0)),
        ("5.873430000000E-36", None),
        ("1.5E-48", None),
        ("1E-400", None),
        (f"0.{'0' * 60}1", None),
        ("9" * 200, None),
    ],
)
def test_decimals_beyond_arrows_are_kept_or_rejected(
    wire: WireFormat, parser: Parser, number: str, read: Decimal | None
) -> None:
    """Arrow makes 0 of a decimal that has 39 more decimals than its column."""
    lines = [as_json([str(row), number, "2024-03-01", None, None], quoted=False) for row in range(12)]
    joined = "\n".join([*lines, ""]) if wire is WireFormat.NDJSON else f'{{"records":[{",".join(lines)}]}}'
    found: list[object] = []
    with blocks_of(300):
        for piece in open_document(wire, Cut(joined.encode(), [4096]), Layout(SCHEMA, parser=parser)).slices():
            casted = cast_slice(SCHEMA, piece, 1)
            found += [*casted.batch["amount"].to_pylist(), *(None for _ in casted.rejects)]
    assert found == [read] * 12


def test_templates_read_them() -> None:
    rows: list[list[str | None]] = [
        [str(number), f"{number}.50", "2024-03-01", "-0.1", "2024-03-02"] for number in range(60)
    ]
    with blocks_of(500):
        assert [read_alike(wire, body.encode(), SCHEMA) >= 40 for wire, body in bodies(rows)] == [True] * 6


ODD_AMOUNTS = ["1.0000000001", "1" + "0" * 29, "1e30", "007", "+1", "1.", ".5", "NaN", '"x"', "true", "null", '"1.5"']
ODD_DAYS = ['"2024-02-30"', '"0000-01-01"', '"20240301"', '"2024-03-01T00:00:00Z"', "20240301", "null", '""']


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.NDJSON])
@pytest.mark.parametrize(
    ("name", "odd"), [*(("amount", odd) for odd in ODD_AMOUNTS), *(("day", odd) for odd in ODD_DAYS)]
)
def test_an_odd_value_among_others_is_read_as_by_the_reference(wire: WireFormat, name: str, odd: str) -> None:
    good = {"id": "7", "amount": "1.50", "day": '"2024-03-01"', "fee": "null", "due": "null"}
    plain_record, odd_record = ("{" + ",".join(f'"{key}":{value}' for key, value in record.items()) + "}"
                                for record in (good, good | {name: odd}))  # fmt: skip
    records = [*[plain_record] * 30, odd_record, *[plain_record] * 30]
    body = "\n".join(records) + "\n" if wire is WireFormat.NDJSON else f'{{"records":[{",".join(records)}]}}'
    with blocks_of(500):
        read_alike(wire, body.encode(), SCHEMA)


@pytest.mark.parametrize("wire", [WireFormat.XML, WireFormat.CSV])
@pytest.mark.parametrize("odd", ["1.0000000001", "1e30", "+1", "1.", "", "NaN", "15e-1", "1,5"])
def test_an_odd_text_among_others_is_read_as_by_the_reference(wire: WireFormat, odd: str) -> None:
    rows: list[list[str | None]] = [["7", "1.50", "2024-03-01", "0", "2024-03-02"] for _ in range(60)]
    rows[30][1] = odd
    body = dict(bodies(rows))[wire]
    with blocks_of(500):
        read_alike(wire, body.encode(), SCHEMA)
