"""CSV that differs from RFC 4180, rows that are errors, and last lines without a line end."""

import pytest

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import (
    MalformedDocument,
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
)
from flows_platform.formats.csv.decode import CsvDocument
from flows_platform.formats.csv.dialect import CsvDialect
from flows_platform.formats.json.lines_decode import NdjsonDocument
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.metered_reader import SLICE_BYTES, BlankDocument

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
        (b'"a",  "b"\n1, "x;y"\n', CsvDialect(skip_spaces=True)),
        (b"#made today\n#\na,b\n1,x;y\n#end\n", CsvDialect(comment="#")),
        (b"a report\n\na,b\n1,x;y\n", CsvDialect(skip=2)),
        (b"1,x;y\n", CsvDialect(names=("a", "b"))),
        (b"# id,name\n1,x;y\n", CsvDialect(names=("a", "b"), comment="#")),
        (b"head\n--begin\na,b\n1,x;y\n--end\n", FRAMED),
        (b"--begin\r\na,b\r\n1,x;y\r\n--end", FRAMED),
        (b"--begin\nno\n--begin\na,b\n1,x;y\n--end\n\n", CsvDialect(skip=2, begin="--begin", end="--end")),
        (b"\xef\xbb\xbfa,b\n\n1,x;y\n\n", CsvDialect()),
        (b"\n \r\na,b\n1,x;y\n", CsvDialect(skip=1, comment=" ")),
        (b"\n\na,b\r1,x;y\r", CsvDialect()),
        (b"a,b\n1,x;y\na,b\n", CsvDialect()),
        (b"\xef\xbb\xbfa,b\n1,x;y\n\xef\xbb\xbfa,b\n", CsvDialect()),
        (b"1,x;y\na,b\n", CsvDialect(names=("a", "b"))),
        (b"\xef\xbb\xbf--begin\na,b\n1,x;y\n--end", FRAMED),
        (b"#--begin\r\n#c\r\na,b\r\n1,x;y\r\n#--end\r\n", CsvDialect(comment="#", begin="#--begin", end="#--end")),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_dialect_is_read(body: bytes, dialect: CsvDialect, size: int) -> None:
    assert rows(body, size, dialect=dialect, known=frozenset({"b"})) == [{"a": "1", "b": "x;y"}]


@pytest.mark.parametrize("second", ["b,a,c", "a,c,b", "\ufeffb,a,c", "a,b,d", "a,b", "a,b,c,d"])
def test_joined_files_with_other_columns_are_refused(second: str) -> None:
    with pytest.raises(SourceRefused, match=r"a second header '.*', which differs from the first \('a,b,c'\)"):
        rows(f"a,b,c\n1,2,3\n{second}\n4,5,6\n".encode())


def test_a_record_may_hold_names_of_columns() -> None:
    assert rows(b"a,b,c\na,a,1\nb,2,3\n") == [{"a": "a", "b": "a", "c": "1"}, {"a": "b", "b": "2", "c": "3"}]


def test_marks_inside_a_cell_are_its_text() -> None:
    body = b'--begin\na,b\n1,"x\n--end\n#y"\n--end\n'
    assert rows(body, dialect=CsvDialect(begin="--begin", end="--end", comment="#")) == [
        {"a": "1", "b": "x\n--end\n#y"}
    ]


def test_without_a_quote_the_sign_is_text() -> None:
    assert rows(b'a\tb\n"1\tx"y\n', dialect=CsvDialect(delimiter="\t", quote="")) == [{"a": '"1', "b": 'x"y'}]


def test_a_null_character_is_text() -> None:
    assert rows(b'a,b\n1,"x\0"\n', 1) == [{"a": "1", "b": "x\0"}]


def test_one_column_may_hold_its_own_name() -> None:
    assert rows(b"word\nword\nother\n") == [{"word": "word"}, {"word": "other"}]


@pytest.mark.parametrize(
    ("dialect", "lines"),
    [
        (CsvDialect(comment="#"), "# {}\n"),
        (CsvDialect(comment="#"), "# é{}\n"),
        (CsvDialect(), "\n"),
        (CsvDialect(begin="--begin"), "before {}\n"),
        (CsvDialect(skip=70_000), "{}\n"),
    ],
)
def test_lines_before_the_records_may_be_longer_than_a_record(dialect: CsvDialect, lines: str) -> None:
    count = dialect.skip or 3 * SLICE_BYTES // 2 // len(lines)
    head = "".join(lines.format(number) for number in range(count)).encode()
    begin = f"{dialect.begin}\n".encode() if dialect.begin else b""
    body = head + begin + b"a,b\n1,x\n" + (head if dialect.comment else b"") + b"2,y\n"
    assert [record["a"] for record in rows(body, 1 << 16, dialect=dialect, record_bytes=99)] == ["1", "2"]  # type: ignore[index]


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        (b"", CsvDialect()),
        (b"\n\r\n \n", CsvDialect()),
        (b"\xef\xbb\xbf", CsvDialect(names=("a", "b"))),
        (b"\n", CsvDialect(names=("a", "b"))),
        (b"\n", CsvDialect(skip=3)),
        (b"", FRAMED),
    ],
)
def test_blank_lines_are_not_an_answer(body: bytes, dialect: CsvDialect, size: int) -> None:
    with pytest.raises(BlankDocument, match="no line that is not blank"):
        rows(body, size, dialect=dialect, proven=True)


def test_lines_of_comments_without_a_record_hold_none() -> None:
    assert rows(b"# none today\n", dialect=CsvDialect(comment="#", names=("a", "b"))) == []


@pytest.mark.parametrize("body", [b"a,b", b"a"])
def test_a_header_may_be_cut_too(body: bytes) -> None:
    with pytest.raises(StreamIncomplete, match="ends inside a line"):
        rows(body)
    assert rows(body, proven=True) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'#\na,b\n1,"' + b"x" * 140_000, r"near line 3 \(field larger than field limit .*its quote never closes\.$"),
        (b'#\na,b\n1,"x', r"near line 3 \(unexpected end of data\)"),
        (b'#\na,b\n1,"x"y\n', r"near line 3 .*Check `csv.delimiter` and `csv.quote`\.$"),
        (b"#\na,b\n1,\xff\n", r"near line 2 .*invalid start byte\)\.$"),
    ],
)
def test_what_is_not_csv_is_said_with_its_line(body: bytes, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words):
        rows(body, 1 << 16, dialect=CsvDialect(comment="#"), proven=True)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"delimiter": "\n"}, "a line end separates lines"),
        ({"end": "a\r\n"}, "a line end separates lines"),
        ({"comment": ",x"}, "records may also start with ','"),
        ({"comment": '"'}, "records may also start with"),
        ({"quote": ","}, "is also the delimiter"),
        ({"names": ("a", "a")}, "listed twice"),
    ],
)
def test_a_dialect_that_is_ambiguous_is_refused(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CsvDialect(**keys)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"--begin\na,b\n1,x\n", StreamIncomplete, "without its end line '--end'"),
        (b"--begin\na,b\n1,x\n--en", StreamIncomplete, "without its end line '--end'"),
        (b"a,b\n1,x\n--end\n", SourceRefused, "no line '--begin'"),
        (b"x" * 99 + b"\n" * 3000, SourceRefused, "no line '--begin'"),
        (b'--begin\na,b\n1,"x\n--end\n', MalformedDocument, "unexpected end of data"),
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


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_fewer_lines_than_are_skipped_are_another_answer(names: tuple[str, ...]) -> None:
    with pytest.raises(SourceRefused, match=r"has 2 lines, but `csv.skip` skips 3") as raised:
        rows(b"no quota left\nask again\n", dialect=CsvDialect(skip=3, names=names))
    assert raised.value.remedy.startswith("Check the URL and `csv.skip`")
    assert rows(b"1\n2\n3\n", dialect=CsvDialect(skip=3, names=("a", "b"))) == []
