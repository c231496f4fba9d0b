"""The stream as clients see it: five formats of the same rows, headers, compression, HEAD."""

import csv
import gzip
import io
import json
import re
import zlib
from base64 import b64decode
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from lxml import etree

from flows_platform.domain.verification import RowDigest, Value
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Row, Serve, Server, build, build_plain, flow, flows

STREAM = "/api/v1/stream/flows"
ROWS = 30_000
NASTY = ["", '"', "\\", ",", "a\r\nb", "\0", "]]>", "<&>", "\ufffe", "é😀", "\x1f\x7f", "\ufeff"]


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    return serve(build(tmp_path / "flows.db", flows(ROWS)))


def parsed(wire_format: WireFormat, data: bytes) -> list[Row]:
    match wire_format:
        case WireFormat.JSON:
            document = json.loads(data)
            assert document["end"] == {"count": len(document["records"])}
            return [tuple(record.values()) for record in document["records"]]
        case WireFormat.NDJSON:
            return [tuple(json.loads(line).values()) for line in data.split(b"\n")[:-1]]
        case WireFormat.CSV:
            return [_typed(row) for row in list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))[1:]]
        case WireFormat.XML:
            return [_typed([_text(child) for child in record]) for record in list(etree.fromstring(data))[:-1]]
        case WireFormat.ARROW:
            with pa.ipc.open_stream(data) as reader:
                return [tuple(row.values()) for row in reader.read_all().to_pylist()]


def _text(element: etree._Element) -> str:
    text = element.text or ""
    return b64decode(text).decode() if element.get("encoding") == "base64" else text


def _typed(texts: list[str]) -> Row:
    values: list[Value] = [
        int(text) if column.type == "int64" else text for column, text in zip(FLOWS.columns, texts, strict=True)
    ]
    return tuple(values)


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_every_format_brings_the_same_rows(server: Server, wire_format: WireFormat) -> None:
    response, body = server.get(f"{STREAM}?scanned_after=99&scanned_before=2500&format={wire_format}")
    expected = [row for row in flows(ROWS) if 99 < int(row[1] or 0) <= 2500]
    assert response.status == 200
    assert response.headers["Content-Type"].startswith(wire_format.content_type)
    assert response.headers["Record-Count"] == str(len(expected))
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert parsed(wire_format, body) == expected


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_rows_that_need_escaping_among_plain_ones(serve: Serve, tmp_path: Path, wire_format: WireFormat) -> None:
    rows = flows(5000)
    for position, text in enumerate(NASTY):
        rows[position * 400] = flow(position * 400 + 1, src_comp=text, dst_port=text * 3)
    server = serve(build(tmp_path / "flows.db", rows))
    _, body = server.get(f"{STREAM}?format={wire_format}")
    assert parsed(wire_format, body) == rows


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_an_empty_window_is_whole(server: Server, wire_format: WireFormat) -> None:
    response, body = server.get(f"{STREAM}?scanned_after=7&scanned_before=7&format={wire_format}")
    assert response.headers["Record-Count"] == "0"
    assert parsed(wire_format, body) == []


def test_the_records_stand_on_lines_of_the_document(server: Server) -> None:
    _, body = server.get(f"{STREAM}?limit=2")
    lines = body.decode().splitlines()
    assert (lines[0], lines[-1]) == ('{"records":[', '],"end":{"count":2}}')
    assert json.loads(lines[2]) == dict(zip(FLOWS.names, flow(2), strict=True))


DIGEST_IN = {
    WireFormat.JSON: rb'"digest":"([0-9a-f]{16})"\}\}\n$',
    WireFormat.NDJSON: rb'\n\{"end":\{"count":\d+,"digest":"([0-9a-f]{16})"\}\}\n$',
    WireFormat.CSV: rb"\nend,\d+,([0-9a-f]{16})\r\n$",
    WireFormat.XML: rb'<\?end count="\d+" digest="([0-9a-f]{16})"\?></records>$',
}


def footer_of_arrow(body: bytes) -> dict[bytes, bytes]:
    with pa.ipc.open_stream(body) as reader:
        *_, last = reader.iter_batches_with_custom_metadata()
    assert last.batch.num_rows == 0
    return dict(last.custom_metadata)


@pytest.mark.parametrize("wire_format", list(WireFormat))
@pytest.mark.parametrize("kind", ["loaded", "plain"])
def test_the_digest_is_that_of_the_rows(serve: Serve, tmp_path: Path, wire_format: WireFormat, kind: str) -> None:
    rows = flows(5000)
    for position, text in enumerate(NASTY):
        rows[position * 400] = flow(position * 400 + 1, src_comp=text, dst_port=text * 3)
    server = serve((build if kind == "loaded" else build_plain)(tmp_path / "flows.db", rows))
    expected = RowDigest.of([row for row in rows if 9 < int(row[1] or 0) <= 450])
    _, body = server.get(f"{STREAM}?scanned_after=9&scanned_before=450&format={wire_format}&digest=1")
    if wire_format is WireFormat.ARROW:
        assert footer_of_arrow(body) == {b"count": str(expected.count).encode(), b"digest": expected.hex.encode()}
    else:
        found = re.search(DIGEST_IN[wire_format], body)
        assert found
        assert found[1].decode() == expected.hex


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_footer_comes_where_it_is_asked_for(server: Server, coding: str) -> None:
    def body(wire_format: WireFormat, query: str = "") -> bytes:
        response, data = server.get(f"{STREAM}?limit=300&format={wire_format}{query}", Accept_Encoding=coding)
        assert response.headers["Record-Count"] == "300"
        return gzip.decompress(data) if coding == "gzip" else data

    assert body(WireFormat.NDJSON, "&footer=1") == body(WireFormat.NDJSON) + b'{"end":{"count":300}}\n'
    assert body(WireFormat.CSV, "&footer=1") == body(WireFormat.CSV) + b"end,300\r\n"
    assert body(WireFormat.JSON, "&footer=1") == body(WireFormat.JSON)
    assert body(WireFormat.XML, "&footer=1") == body(WireFormat.XML)
    assert footer_of_arrow(body(WireFormat.ARROW, "&footer=1")) == {b"count": b"300"}
    assert len(body(WireFormat.ARROW, "&footer=1")) > len(body(WireFormat.ARROW))


def test_a_long_text_is_in_the_digest(serve: Serve, tmp_path: Path) -> None:
    rows = [flow(1), flow(2, src_comp="x" * 9_000_000), flow(3)]
    document = json.loads(serve(build(tmp_path / "flows.db", rows)).get(f"{STREAM}?digest=1")[1])
    assert document["end"] == {"count": 3, "digest": RowDigest.of(rows).hex}


def test_adjacent_windows_join_without_gap_or_overlap(server: Server) -> None:
    queries = ["scanned_before=9", "scanned_after=9&scanned_before=10", "scanned_after=10"]
    bodies = [server.get(f"{STREAM}?{query}&format=ndjson")[1] for query in queries]
    assert b"".join(bodies) == server.get(f"{STREAM}?format=ndjson")[1]
    assert parsed(WireFormat.NDJSON, bodies[0])[0] == flow(1)  # its time is second 0


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        (STREAM, "*/*", WireFormat.JSON),
        (STREAM, "text/csv", WireFormat.CSV),
        (f"{STREAM}?format=ndjson", "text/csv", WireFormat.NDJSON),
        (f"{STREAM}.json", "text/csv", WireFormat.JSON),
        (f"{STREAM}.xml", "application/json", WireFormat.XML),
        (f"{STREAM}.xml?format=xml", "*/*", WireFormat.XML),
    ],
)
def test_who_chooses_the_format(server: Server, path: str, accept: str, expected: WireFormat) -> None:
    response, _ = server.get(path, "HEAD", Accept=accept)
    assert response.headers["Content-Type"].startswith(expected.content_type)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
def test_one_member_or_frame_carries_the_stream(server: Server, coding: str) -> None:
    _, plain = server.get(f"{STREAM}?format=ndjson")
    response, body = server.get(f"{STREAM}?format=ndjson", Accept_Encoding=coding)
    assert response.headers["Content-Encoding"] == (None if coding == "identity" else coding)
    match coding:
        case "gzip":
            decoder = zlib.decompressobj(31)
            assert decoder.decompress(body) == plain == gzip.decompress(body)
            assert decoder.eof
            assert decoder.unused_data == b""
        case "zstd":
            frame = zstandard.ZstdDecompressor().decompressobj()
            assert frame.decompress(body) == plain
            assert frame.unused_data == b""
        case _:
            assert body == plain


def test_compressed_rows_can_be_read_before_the_stream_ends(server: Server) -> None:
    with server.answer(f"{STREAM}?format=ndjson", Accept_Encoding="gzip") as response:
        decoder = zlib.decompressobj(31)
        text = b""
        while text.count(b"\n") < 256:
            text += decoder.decompress(response.read1())
        assert len(text) < 100_000


@pytest.mark.parametrize("query", ["", "limit=7", "scanned_after=5&scanned_before=6", "scanned_before=3&limit=100000"])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_head_is_get_without_rows(server: Server, query: str, coding: str) -> None:
    head, nothing = server.get(f"{STREAM}?{query}", "HEAD", Accept_Encoding=coding)
    full, _ = server.get(f"{STREAM}?{query}", Accept_Encoding=coding)
    assert nothing == b""

    def headers(names: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, value) for name, value in names if name != "date"]

    assert headers(head.getheaders()) == headers(full.getheaders())


def test_latest_and_health(server: Server, serve: Serve, tmp_path: Path) -> None:
    assert json.loads(server.get("/api/v1/flows/latest")[1]) == {"time": 3000, "rows": ROWS}
    assert json.loads(server.get("/healthz")[1]) == {"status": "ok"}
    empty = serve(build(tmp_path / "empty.db", []))
    assert json.loads(empty.get("/api/v1/flows/latest")[1]) == {"time": None, "rows": 0}
    assert json.loads(empty.get(STREAM)[1]) == {"records": [], "end": {"count": 0}}
    assert empty.get("/")[0].status == 200
