"""What a valid clean line is, and that the fast parser agrees with the reference for any bytes."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.flow_database.clean_lines import FastParser, arrow_schema, parse_lines

SCHEMA = TableSchema(
    name="t",
    description="",
    columns=(
        Column("id", ColumnType.INT64, ""),
        Column("name", ColumnType.STRING, ""),
        Column("time", ColumnType.INT64, ""),
    ),
    key="id",
    time="time",
)
FAST = FastParser(SCHEMA)


def parsed(line: bytes) -> list[object]:
    return list(parse_lines(line, SCHEMA).rows.to_pylist()[0].values())


def reason(line: bytes) -> str:
    (reject,) = parse_lines(line, SCHEMA).rejects
    assert reject.raw == line
    return reject.reason


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b"1,a,2", [1, "a", 2]),
        (b"1,a,2\r", [1, "a", 2]),
        (b"-9223372036854775808,,9223372036854775807", [-(2**63), "", 2**63 - 1]),
        (b'007,"q,-0', [7, '"q', 0]),
        (b"1,\0\x01\x7f\rx,2", [1, "\0\x01\x7f\rx", 2]),
        (b"0" * 5000 + b"1, \xc3\xa4 ,-2", [1, " ä ", -2]),
    ],
)
def test_valid_lines(line: bytes, row: list[object]) -> None:
    assert parsed(line) == row
    assert FAST(line).rows == parse_lines(line, SCHEMA).rows


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "empty line"),
        (b"\r", "empty line"),
        (b"1,a", "expected 3 fields, got 2"),
        (b"1,a,2,3", "expected 3 fields, got 4"),
        (b"x,a,2", "id: 'x' is not a 64-bit integer"),
        (b"1,a,2\r\r", r"time: '2\r' is not a 64-bit integer"),
        (b"1,a,9223372036854775808", "time: '9223372036854775808' is not a 64-bit integer"),
        (b"1,a,-9223372036854775809", "time: '-9223372036854775809' is not a 64-bit integer"),
        (b"1,a," + b"9" * 5000, f"time: '{'9' * 40}'… (5000 bytes) is not a 64-bit integer"),
        (b"1,\xff\xfe,2", r"name: '\\xff\\xfe' is not valid UTF-8"),
        (b"1,\xed\xa0\x80,2", r"name: '\\xed\\xa0\\x80' is not valid UTF-8"),
    ],
)
def test_rejected_lines_say_why(line: bytes, expected: str) -> None:
    assert reason(line) == expected


@pytest.mark.parametrize(
    "number", ["", "-", "+1", " 1", "1 ", "1_0", "0x1F", "1.0", "1e3", "--1", "٣", "\t1", "NULL", "1\v"]
)
def test_only_ascii_digits_are_integers(number: str) -> None:
    assert "is not a 64-bit integer" in reason(f"1,a,{number}".encode())


# Numbers that look valid to some readers, and texts that look special to some.
ODD = ["", "-", "-0", "+1", " 1", "1 ", "0x1f", "-0X1F", "00", "1_0", "NULL", "NaN", '"', '"1"', "true", "9" * 19, "#1"]
ODD += ["\v1", "1\f", "\\N", "\\", "1\r2", "\0", "\xa01", "\ufeff1"]
fields = st.one_of(
    st.integers(-(2**65), 2**65).map(lambda value: str(value).encode()),
    st.text(max_size=4).map(str.encode),
    st.binary(max_size=4),
    st.sampled_from([*(text.encode() for text in ODD), b"0" * 30 + b"7"]),
)
lines = st.lists(fields, min_size=0, max_size=5).map(b",".join)
good_lines = st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["", "a", '"', "ä"]), st.integers(0, 9)).map(
    lambda row: ",".join(map(str, row)).encode()
)
ends = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\r\r\n"])


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(good_lines, good_lines, lines), ends).map(b"".join), min_size=1, max_size=5).map(
        b"".join
    ),
    st.booleans(),
)
@example(b"\xef\xbb\xbf1,a,2\n", False)
@example(b"1,a,2\n\n3,b,4\n", False)
def test_fast_and_reference_agree(block: bytes, cut: bool) -> None:  # noqa: FBT001 - a drawn value
    block = (block.removesuffix(b"\n") or b"\n") if cut else block
    fast, reference = FAST(block), parse_lines(block, SCHEMA)
    assert fast.rows == reference.rows
    assert fast.rejects == reference.rejects
    assert fast.lines == reference.lines == len(block.removesuffix(b"\n").split(b"\n"))


def test_ordinary_blocks_take_the_fast_way() -> None:
    for block in (b"1,a,2\n2,b,3\n", b"1,a,2\r\n2,b,3\r\n", b'1,"a,2\n2,b",3'):
        assert FAST._by_arrow(block) is not None


def test_line_of_row_passes_over_rejects() -> None:
    block = parse_lines(b"x\n1,a,2\n\n2,a,2\n", SCHEMA)
    assert [block.line_of_row(index) for index in (0, 1)] == [2, 4]


def test_columns_that_lines_cannot_carry_are_refused() -> None:
    others = [Column("c", kind, "") for kind in ColumnType if kind not in {ColumnType.INT64, ColumnType.STRING}]
    for column in (*others, Column("n", ColumnType.INT64, "", nullable=True)):
        schema = TableSchema(name="t", description="", columns=(column,), key=column.name, time=column.name)
        with pytest.raises(ConfigurationError, match=f"t.{column.name} cannot be loaded"):
            arrow_schema(schema)
