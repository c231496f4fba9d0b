"""CSV that differs from RFC 4180, rows that are errors, and last lines without a line end."""

import pytest

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.formats.csv.decode import CsvDocument
from flows_platform.formats.csv.dialect import CsvDialect
from flows_platform.formats.json.lines_decode import NdjsonDocument
from flows_platform.formats.protocol.envelope import ErrorDocument

from .test_guards import Cut

FRAMED = CsvDialect(begin="--begin", end="--end")
ERRORS = ErrorDocument(message=RecordPath.parse("error"), code=RecordPath.parse("code"), transient=("busy",))
NESTED = ErrorDocument(message=RecordPath.parse("error.message"), code=RecordPath.parse("error.code"))


def rows(body: bytes, size: int = 7, **how: object) -> list[object]:
    document = CsvDocument(Cut(body, [size]), **how)  # type: ignore[arg-type]
    return [record for piece in document.slices() for record in as_mappings(piece)]


def lines(body: bytes, size: int = 7, **how: object) -> list[object]:
    document = NdjsonDocument(Cut(body, [size]), (), **how)  # type: ignore[arg-type]
    return [record for piece in document.slices() for record in as_mappings(piece)]


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        (b"a;b\n1;'x;y'\n", CsvDialect(delimiter=";", quote="'")),
        (b"a\tb\r\n1\tx;y\r\n", CsvDialect(delimiter="\t")),
        (b"#made today\n#\na,b\n1,x;y\n#end\n", CsvDialect(comment="#")),
        (b"a report\n\na,b\n1,x;y\n", CsvDialect(skip=2)),
        (b"1,x;y\n", CsvDialect(names=("a", "b"))),
        (b"# id,name\n1,x;y\n", CsvDialect(names=("a", "b"), comment="#")),
        (b"head\n--begin\na,b\n1,x;y\n--end\n", FRAMED),
        (b"--begin\r\na,b\r\n1,x;y\r\n--end", FRAMED),
        (b"--begin\nno\n--begin\na,b\n1,x;y\n--end\n\n", CsvDialect(skip=2, begin="--begin", end="--end")),
        (b"\xef\xbb\xbfa,b\n\n1,x;y\n\n", CsvDialect()),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_dialect_is_read(body: bytes, dialect: CsvDialect, size: int) -> None:
    assert rows(body, size, dialect=dialect, known=frozenset({"b"})) == [{"a": "1", "b": "x;y"}]


def test_marks_inside_a_cell_are_its_text() -> None:
    body = b'--begin\na,b\n1,"x\n--end\n#y"\n--end\n'
    assert rows(body, dialect=CsvDialect(begin="--begin", end="--end", comment="#")) == [
        {"a": "1", "b": "x\n--end\n#y"}
    ]


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"--begin\na,b\n1,x\n", StreamIncomplete, "without its end line '--end'"),
        (b"--begin\na,b\n1,x\n--en", StreamIncomplete, "without its end line '--end'"),
        (b"a,b\n1,x\n--end\n", SourceRefused, "no line '--begin'"),
        (b"--begin\na,b\n1,x\n--end\n2,y\n", SourceRefused, r"after the end line '--end', .* '2,y"),
    ],
)
def test_an_answer_without_its_marks_is_refused(body: bytes, error: type[PlatformError], words: str) -> None:
    with pytest.raises(error, match=words):
        rows(body, dialect=FRAMED)


@pytest.mark.parametrize("body", [b"A,B\n", b"A,B\n1,2\n", b"<html>\n", b"1,2\n"])
def test_a_header_without_a_declared_column_is_refused(body: bytes) -> None:
    with pytest.raises(SourceRefused, match=r"the CSV header .* does not name a declared column \(a, b\)"):
        rows(body, known=frozenset("ab"))
    assert rows(b"b\n", known=frozenset("ab")) == []


@pytest.mark.parametrize("body", [b"a,error,code\n1,,\n,no room,\n", b"a,error\n1,\n,no room\n2,\n"])
def test_a_row_that_is_an_error_ends_the_answer(body: bytes) -> None:
    with pytest.raises(SourceRefused, match=r"the API answers with an error.*: no room"):
        rows(body, errors=ERRORS)
    with pytest.raises(SourceUnavailable, match="busy: no room"):
        rows(b"a,error,code\n1,,\n,no room,busy\n", errors=ERRORS)
    assert len(rows(b"a,error\n1,\n2,\n", errors=ERRORS)) == 2


@pytest.mark.parametrize("position", [0, 1, 5])
def test_a_line_that_is_an_error_ends_the_answer(position: int) -> None:
    good = [b'{"a": 1}\n'] * 5
    error_line = b'{"error": {"message": "no room", "code": 7}}\n'
    with pytest.raises(SourceRefused, match="the API answers with an error 7: no room"):
        lines(b"".join([*good[:position], error_line, *good[position:]]), errors=NESTED)
    assert len(lines(b'{"error": {"message": ""}}\n{"error": null}\n', errors=NESTED)) == 2


@pytest.mark.parametrize("proven", [True, False])
def test_a_last_line_without_its_end_is_whole_where_the_transfer_proves_it(*, proven: bool) -> None:
    for read, body in ((lines, b'{"a": 1}\n{"a": 2}'), (rows, b"a,b\n1,x\n2,y")):
        if proven:
            assert len(read(body, proven=True)) == 2
            continue
        with pytest.raises(StreamIncomplete, match="ends inside a line"):
            read(body)


@pytest.mark.parametrize("read", [lines, rows])
def test_a_last_line_that_is_cut_is_never_a_record(read: object) -> None:
    body = b'{"a": 1}\n{"a": 2' if read is lines else b"a,b\n1,x\n2"
    with pytest.raises(StreamIncomplete, match="ends inside a line"):
        read(body, proven=True)  # type: ignore[operator]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_byte_order_mark_leads_lines_too(size: int) -> None:
    assert lines(b'\xef\xbb\xbf{"a": 1}\n', size) == [{"a": 1}]


def test_only_white_space_of_json_is_passed_over() -> None:
    assert lines(b' \t\r\n{"a": 1}\n\r\n') == [{"a": 1}]
    for blank in (b"\x0b", b"\x0c", b"\xc2\xa0"):
        found = lines(blank + b"\n" + b'{"a":' + blank + b"1}\n")
        assert [type(record).__name__ for record in found] == ["Unreadable", "Unreadable"]


def test_empty_cells_of_the_columns_named_are_null() -> None:
    assert rows(b"a,b\n,\n", blank=frozenset("b")) == [{"a": "", "b": None}]


@pytest.mark.parametrize("last", ["ERROR: quota exceeded", "error,quota exceeded", "2,2024-03-01"])
def test_where_errors_are_rows_a_last_line_with_fewer_fields_leaves_the_answer_in_doubt(last: str) -> None:
    body = f"id,at,note\n1,2,3\n{last}\n".encode()
    with pytest.raises(StreamIncomplete, match=rf"not a record: . fields, but the header has 3 \('{last}'\)") as raised:
        rows(body, errors=ERRORS)
    assert "`csv.comment`" in raised.value.remedy
    assert rows(body, errors=ERRORS, dialect=CsvDialect(comment=last[:3])) == [{"id": "1", "at": "2", "note": "3"}]
    assert len(rows(body)) == 2  # the second one is a reject


def test_a_form_feed_after_the_end_line_is_not_white_space() -> None:
    with pytest.raises(SourceRefused, match="after the end line"):
        rows(b"--begin\na\n1\n--end\n\f\n", dialect=FRAMED)
