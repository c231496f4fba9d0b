"""Decoders alone: odd but valid documents are read completely, in any pieces; others raise the right error."""

import io
import json
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.errors import MalformedDocument, PlatformError, SourceRefused, StreamIncomplete
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.envelope import DeclaredTotal
from flows_platform.formats.protocol.metered_reader import SLICE_BYTES, BlankDocument
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS


def read(wire: WireFormat, body: bytes) -> tuple[list[dict[str, object]], int | None]:
    """All good records of a document as the flows schema has them, and the footer's count."""
    document = open_document(wire, io.BytesIO(body), Layout(FLOWS))
    records = [record for piece in document.slices() for record in cast_slice(FLOWS, piece, 1).batch.to_pylist()]
    return records, document.declared.count if document.declared else None


class Dribble(io.BytesIO):
    """A source that gives at most three bytes at a time, like a slow network."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size) if size and size > 0 else 3)


@pytest.mark.parametrize("wire", list(WireFormat))
def test_short_reads_are_no_end(wire: WireFormat) -> None:
    rows = [row(number) for number in range(1, 40)]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    fields = ["".join(f"<{name}>{value}</{name}>" for name, value in row.items()) for row in rows]
    bodies = {
        WireFormat.JSON: json.dumps({"records": rows, "end": {"count": 39}}).encode(),
        WireFormat.XML: f"<records>{''.join(f'<record>{record}</record>' for record in fields)}</records>".encode(),
        WireFormat.NDJSON: "".join(json.dumps(row) + "\n" for row in rows).encode(),
        WireFormat.CSV: "".join(
            ",".join(map(str, cells)) + "\n" for cells in ([*FLOWS.names], *map(dict.values, rows))
        ).encode(),
        WireFormat.ARROW: sink.getvalue().to_pybytes(),
    }
    document = open_document(wire, Dribble(bodies[wire]), Layout(FLOWS))
    assert [row for piece in document.slices() for row in cast_slice(FLOWS, piece, 1).batch.to_pylist()] == rows


def row(number: int, text: str = "C1") -> dict[str, object]:
    values = [number, 1, 0, text, "N1", "C2", "445", 6, 1, 46]
    return dict(zip(FLOWS.names, values, strict=True))


def test_json_footers_are_read_wherever_whitespace_is() -> None:
    body = json.dumps({"records": [row(1)], "end": {"count": 1, "digest": "ab"}}, indent=3).encode() + b"\n \n"
    assert read(WireFormat.JSON, body) == ([row(1)], 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"records":[], "x": {"end":{"count":7}}}',
        b'{"records":[], "x": "\\"end\\":{\\"count\\":7}}"}',
        b'{"end":{"count":7}, "records":[]}',
        b'{"records":[], "end":{"count":"7"}}',
        b'{"records":[], "end":{"count":true}}',
    ],
)
def test_what_only_looks_like_a_footer_is_none(body: bytes) -> None:
    assert read(WireFormat.JSON, body) == ([], None)


def test_a_nested_path_is_followed() -> None:
    body = json.dumps({"status": [1, 2], "result": {"items": [row(1), row(2)]}}).encode()
    document = open_document(WireFormat.JSON, io.BytesIO(body), Layout(FLOWS, records="result.items"))
    assert [len(records) for records in document.slices() if isinstance(records, list)] == [2]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_through_json(text: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"records": [row(1, text)], "end": {"count": 1}}, ensure_ascii=ascii_only).encode()
        assert read(WireFormat.JSON, body) == ([row(1, text)], 1)
        line = json.dumps(row(1, text), ensure_ascii=ascii_only).encode() + b"\n"
        assert read(WireFormat.NDJSON, line)[0] == [row(1, text)]


def test_xml_with_comments_cdata_and_other_orders() -> None:
    good = "".join(f"<{name}>{value}</{name}>" for name, value in reversed(row(1, "a<b").items()))
    good = good.replace("a<b", "<![CDATA[a<b]]>").replace("<time>1<", "<time><!-- c -->1<")
    body = f"<records><!-- x --><record>{good}<!-- y --></record><?other count='9'?><?end count='1'?></records>"
    assert read(WireFormat.XML, body.encode()) == ([row(1, "a<b")], 1)


def test_xml_values_in_base64_are_decoded() -> None:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in row(1).items())
    fields = fields.replace("<src_comp>C1", '<src_comp encoding="base64">AAEC')
    body = f"<records><record>{fields}</record><?end count='1'?></records>".encode()
    assert read(WireFormat.XML, body)[0] == [row(1, "\0\1\2")]


@pytest.mark.parametrize("child", ["<id>1</id><id>2</id>", "<id><b>1</b></id>", '<id encoding="base64">!</id>'])
def test_xml_fields_that_repeat_or_nest_are_rejected_not_guessed(child: str) -> None:
    fields = child + "".join(f"<{name}>{value}</{name}>" for name, value in row(1).items() if name != "id")
    body = f"<records><record>{fields}</record></records>".encode()
    (piece,) = open_document(WireFormat.XML, io.BytesIO(body), Layout(FLOWS)).slices()
    (reject,) = cast_slice(FLOWS, piece, 1).rejects
    assert reject.reason.startswith("id: ")


def test_xml_records_are_released_as_they_are_read() -> None:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in row(1).items())
    body = f"<records>{f'<record>{fields}</record>' * 2000}<?end count='2000'?></records>".encode()
    document = open_document(WireFormat.XML, io.BytesIO(body), Layout(FLOWS))
    slices = list(document.slices())
    sizes = [piece.num_rows for piece in slices if isinstance(piece, pa.RecordBatch)]
    most = 2 * SLICE_BYTES // len(f"<record>{fields}</record>")
    assert (sum(sizes), len(sizes) >= 2, max(sizes) <= most) == (2000, True, True)
    assert document.declared == DeclaredTotal(2000)


@pytest.mark.parametrize("line", [b"{", b"[1]", b"7", b'{"id":1,"id":2}', b'{"id":NaN}', b"\xff"])
def test_a_bad_line_is_rejected_alone(line: bytes) -> None:
    body = json.dumps(row(1)).encode() + b"\n" + line + b"\n" + json.dumps(row(2)).encode() + b"\n"
    (piece,) = open_document(WireFormat.NDJSON, io.BytesIO(body), Layout(FLOWS, parser=Parser.REFERENCE)).slices()
    casted = cast_slice(FLOWS, piece, 1)
    assert casted.batch.column("id").to_pylist() == [1, 2]
    assert [(reject.position, reject.raw) for reject in casted.rejects if line != b"\xff"] == (
        [(2, line)] if line != b"\xff" else []
    )
    assert len(casted.rejects) == 1


def test_an_ndjson_line_without_its_end_is_a_cut() -> None:
    with pytest.raises(StreamIncomplete):
        read(WireFormat.NDJSON, json.dumps(row(1)).encode())


def test_csv_rows_of_another_length_are_rejected_alone() -> None:
    lines = [",".join(FLOWS.names), "1,1,0,C1,N1,C2,445,6,1,46", "2,1", "3,1,0,C1,N1,C2,445,6,1,46,9", ""]
    (piece,) = open_document(WireFormat.CSV, io.BytesIO("\r\n".join(lines).encode()), Layout(FLOWS)).slices()
    casted = cast_slice(FLOWS, piece, 1)
    assert [reject.reason for reject in casted.rejects] == [
        "2 fields, but the header has 10",
        "11 fields, but the header has 10",
    ]


@pytest.mark.parametrize("body", [b"", b"id,id\r\n", b'id,"a\r\n1,2', b"id,\xff\r\n"])
def test_csv_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises((MalformedDocument, SourceRefused, BlankDocument)):
        read(WireFormat.CSV, body)


@given(st.sampled_from(list(WireFormat)), st.binary(max_size=400))
def test_noise_gives_typed_errors_only(wire: WireFormat, noise: bytes) -> None:
    with suppress(PlatformError):
        read(wire, noise)
