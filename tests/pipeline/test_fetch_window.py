"""A window from a scripted server to a Parquet file: what is accepted, what is refused, what is left behind."""

import gzip
import json
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from flows_platform.declared import Secret
from flows_platform.domain.errors import (
    MalformedDocument,
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
    TooManyRejects,
)
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import Basic, Bearer, HeaderKey
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.paging import LinkHeader
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.parquet import footer_of
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine
from tests.fetch.flow_bodies import BOUNDS, json_body, row, xml_body
from tests.fetch.scripted import ScriptedServer, answer


def bodies(rows: list[dict[str, object]]) -> dict[WireFormat, bytes]:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    head = ",".join(FLOWS.names)
    lines = [",".join(map(str, record.values())) for record in rows]
    return {
        WireFormat.JSON: json_body(rows),
        WireFormat.XML: xml_body(rows),
        WireFormat.NDJSON: "".join(json.dumps(record) + "\n" for record in rows).encode(),
        WireFormat.CSV: "".join(line + "\r\n" for line in (head, *lines)).encode(),
        WireFormat.ARROW: sink.getvalue().to_pybytes(),
    }


def stage(
    client: HttpClient, server: ScriptedServer, target: Path, *, max_rejected: int = 0, tries: int = 1, **api: object
) -> FetchedWindow:
    declaration = WindowedApi(url=server.url, schema=FLOWS, **api)  # type: ignore[arg-type]
    return fetch_window(client, declaration, BOUNDS, target, max_rejected=max_rejected, tries=tries)


ROWS = [row(number) for number in range(1, 51)]


@pytest.mark.parametrize("wire", list(WireFormat))
def test_every_format_gives_the_same_rows(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(bodies(ROWS)[wire], kind=wire.content_type, Record_Count="50")]
    fetched = stage(client, server, target, format=wire)
    assert pq.read_table(target).to_pylist() == ROWS
    assert (fetched.file.rows, fetched.file.rejected, fetched.file.first_time, fetched.file.last_time) == (50, 0, 1, 50)
    assert fetched.answers.level is Verification.COUNT
    assert f"format={wire}" in server.requests[0]
    assert "scanned_after=0&scanned_before=99" in server.requests[0]


@pytest.mark.parametrize("wire", list(WireFormat))
def test_the_server_chooses_the_format_where_none_is_declared(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(bodies(ROWS)[wire], kind=wire.content_type, Record_Count="50")]
    assert stage(client, server, target, format=None).answers.format == wire
    assert "Accept: application/vnd.apache.arrow.stream;q=1.0, application/x-ndjson;q=0.9" in server.requests[0]


@pytest.mark.parametrize("wire", list(WireFormat))
def test_an_empty_window_is_an_empty_file(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    empty = bodies(ROWS)[wire] if wire is not WireFormat.ARROW else _empty_arrow()
    if wire in {WireFormat.JSON, WireFormat.XML}:
        empty = json_body([]) if wire is WireFormat.JSON else xml_body([])
    elif wire is not WireFormat.ARROW:
        empty = (",".join(FLOWS.names) + "\r\n").encode() if wire is WireFormat.CSV else b""
    server.scripts = [answer(empty, kind=wire.content_type, Record_Count="0")]
    assert stage(client, server, target, format=wire).file.rows == 0
    assert pq.read_table(target).column_names == list(FLOWS.names)


def _empty_arrow() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.Table.from_pylist(ROWS).schema):
        pass
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.XML])
@pytest.mark.parametrize("twentieths", range(1, 20))
def test_a_document_that_ends_early_is_refused_though_the_transfer_ends_cleanly(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat, twentieths: int
) -> None:
    body = bodies(ROWS)[wire]
    server.scripts = [answer(body[: len(body) * twentieths // 20], kind=wire.content_type)]
    with pytest.raises(StreamIncomplete):
        stage(client, server, target, format=wire)
    assert not target.exists()


@pytest.mark.parametrize("wire", list(WireFormat))
def test_missing_records_are_seen_by_the_header_count(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(bodies(ROWS[:30])[wire], kind=wire.content_type, Record_Count="50")]
    with pytest.raises(StreamIncomplete, match="header declares 50 records, but 30 came"):
        stage(client, server, target, format=wire)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("count", ["", "ten", "-50", "+50", "5e1", "5_0", " ", "\xb2", "9" * 20])
def test_a_declared_count_that_is_not_a_number_is_refused(
    client: HttpClient, server: ScriptedServer, target: Path, count: str
) -> None:
    server.scripts = [answer(json_body(ROWS), Record_Count=count)]
    with pytest.raises(SourceRefused, match=r"header is .*, not a number"):
        stage(client, server, target)


def test_missing_records_are_seen_by_the_footer_count(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body(ROWS[:30], count=50))]
    with pytest.raises(StreamIncomplete, match="footer declares 50"):
        stage(client, server, target)
    server.scripts = [answer(xml_body(ROWS[:30], end='<?end count="50"?>'), kind="application/xml")]
    with pytest.raises(StreamIncomplete, match="footer declares 50"):
        stage(client, server, target, format=WireFormat.XML)


@pytest.mark.parametrize("wire", list(WireFormat))
def test_a_stream_without_any_count_is_refused_unless_less_is_declared(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    body = bodies(ROWS)[wire]
    if wire is WireFormat.JSON:
        body = json.dumps({"records": ROWS}).encode()
    if wire is WireFormat.XML:
        body = xml_body(ROWS, end="")
    server.scripts = [answer(body, kind=wire.content_type)]
    marked = wire not in {WireFormat.NDJSON, WireFormat.CSV}
    reached = Verification.FRAMING if marked else Verification.UNVERIFIED
    with pytest.raises(SourceRefused, match=f"verified to {reached.label} only, not L2 count: .* would pass"):
        stage(client, server, target, format=wire)
    if not marked:
        with pytest.raises(SourceRefused, match="not L1 framing"):
            stage(client, server, target, format=wire, verification=Verification.FRAMING)
    fetched = stage(client, server, target, format=wire, verification=reached)
    assert (fetched.file.rows, fetched.answers.level) == (50, reached)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "quota"}',
        b'{"records": null, "end": {"count": 0}}',
        b'{"records": {}, "end": {"count": 0}}',
        b'{"data": {"records": []}, "end": {"count": 0}}',
        b"[]",
        b"<html><body>Welcome</body></html>",
        b'{"records": []} trailing',
        b'{"records": [1,]}',
    ],
)
def test_an_answer_that_is_not_a_stream_of_records_never_counts_as_empty(
    client: HttpClient, server: ScriptedServer, target: Path, body: bytes
) -> None:
    server.scripts = [answer(body, Record_Count="0")]
    with pytest.raises((MalformedDocument, SourceRefused, StreamIncomplete)):
        stage(client, server, target)
    assert not target.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"<error>quota</error>",
        b"<html><records></records></html>",
        b"<!DOCTYPE records [<!ENTITY a 'x'>]><records><record><id>&a;</id></record></records>",
        b"<!DOCTYPE records><records></records>",
        b"<records></records><records></records>",
        b"<records><record></records>",
    ],
)
def test_xml_that_is_not_a_stream_of_records_never_counts_as_empty(
    client: HttpClient, server: ScriptedServer, target: Path, body: bytes
) -> None:
    server.scripts = [answer(body, kind="application/xml", Record_Count="0")]
    with pytest.raises((MalformedDocument, SourceRefused, StreamIncomplete)):
        stage(client, server, target, format=WireFormat.XML)
    assert not target.exists()


def test_the_content_type_must_be_the_one_asked_for(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body(ROWS), kind="text/html")]
    with pytest.raises(SourceRefused, match="'text/html', not application/json"):
        stage(client, server, target)
    server.scripts = [answer(bodies(ROWS)[WireFormat.CSV], kind="text/csv", Record_Count="50")]
    with pytest.raises(SourceRefused, match="'text/csv', not application/json"):
        stage(client, server, target)


def test_a_whole_document_in_a_compression_without_its_end_is_refused(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    body = json_body(ROWS)
    gzipped, packed = zlib.compressobj(wbits=31), zstandard.ZstdCompressor().compressobj()
    flushed = {
        "gzip": gzipped.compress(body) + gzipped.flush(zlib.Z_SYNC_FLUSH),
        "zstd": packed.compress(body) + packed.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
    }
    for coding, data in flushed.items():
        server.scripts = [answer(data, Content_Encoding=coding, Record_Count="50")]
        with pytest.raises(StreamIncomplete, match=f"{coding} body ends before its end mark"):
            stage(client, server, target)
    assert not target.exists()


BAD_ROWS = [
    ({"byte_count": None}, "byte_count is null or missing"),
    ({"byte_count": "many"}, "'many' is not an integer"),
    ({"byte_count": 2**63}, "does not fit into 64 bits"),
    ({"byte_count": 1.5}, "is not an integer"),
    ({"byte_count": True}, "is not an integer"),
    ({"src_comp": ["C1"]}, "is not text"),
    ({"colour": "red"}, "unknown field 'colour'"),
    ({"time": 1000}, "is outside the window [1, 100)"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_ROWS)
def test_a_bad_record_is_quarantined_whole_and_counted(
    client: HttpClient, server: ScriptedServer, target: Path, change: dict[str, object], reason: str
) -> None:
    rows = [row(1), row(2, **change), row(3)]
    server.scripts = [answer(json_body(rows))]
    with pytest.raises(TooManyRejects, match=r"1 records .* 0 are allowed; the first is record 2"):
        stage(client, server, target)
    assert not target.exists()
    fetched = stage(client, server, target, max_rejected=1)
    (reject,) = read_quarantine(quarantine_path(target))
    assert (fetched.file.rows, fetched.file.rejected, fetched.file.received) == (2, 1, 3)
    assert reason in reject.reason
    assert json.loads(reject.raw)["id"] == 2
    assert pq.read_table(target).column("id").to_pylist() == [1, 3]


def test_values_that_fit_without_loss_are_cast(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body([row(1, byte_count="2681847376", packet_count=5.0, src_port=389)]))]
    assert stage(client, server, target).file.rejected == 0
    assert pq.read_table(target).to_pylist() == [row(1, byte_count=2681847376, packet_count=5, src_port="389")]


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.XML])
def test_invalid_characters_are_replaced_and_counted_where_that_is_declared(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    body = bodies(ROWS)[wire].replace(b"N1", b"N\x01\x0b")
    for declared in (True, False):
        server.scripts = [answer(body, kind=wire.content_type)]
        if declared:
            fetched = stage(client, server, target, format=wire, replaces_characters=True)
            assert (fetched.file.rows, fetched.answers.replaced_characters) == (50, 100)
            assert fetched.answers.level_reason == "100 invalid characters became U+FFFD"
            assert set(pq.read_table(target)["src_port"].to_pylist()) == {"N\ufffd\ufffd"}
        else:
            with pytest.raises(PlatformError, match="invalid_characters: replace"):
                stage(client, server, target, format=wire)


def test_a_required_digest_is_not_waived_where_characters_are_replaced(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body(ROWS).replace(b"N1", b"N\x01"))]
    with pytest.raises(PlatformError, match="digest"):
        stage(client, server, target, replaces_characters=True, verification=Verification.DIGEST)


def test_the_quarantine_of_an_earlier_try_goes_with_a_clean_one(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body([row(1, time=-1)])), answer(json_body(ROWS))]
    stage(client, server, target, max_rejected=1)
    assert quarantine_path(target).exists()
    stage(client, server, target)
    assert not quarantine_path(target).exists()


def test_records_that_contradict_each_other_are_refused(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body([row(3), row(2), row(3, byte_count=47)]))]
    with pytest.raises(StreamIncomplete, match="two records of one window have id 3 and differ"):
        stage(client, server, target)
    assert not target.exists()


def test_identical_records_are_kept_once_and_counted(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body([row(3), row(2), row(3), row(4), row(4), row(3)]))]
    fetched = stage(client, server, target)
    assert (fetched.file.rows, fetched.file.deduplicated, fetched.file.rejected, fetched.file.received) == (3, 3, 0, 6)
    assert pq.read_table(target).to_pylist() == [row(3), row(2), row(4)]
    assert footer_of(target).deduplicated == 3
    assert list(target.parent.iterdir()) == [target]


def test_keys_in_any_order_are_taken(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body([row(3), row(2), row(9)]))]
    assert stage(client, server, target).file.rows == 3


def test_a_transient_failure_is_tried_again_and_a_terminal_one_is_not(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    cut = answer(json_body(ROWS))[:-40]
    server.scripts = [cut, answer(b"", status="503 Service Unavailable", Retry_After="0"), answer(json_body(ROWS))]
    assert stage(client, server, target, tries=3).tries == 3
    server.scripts = [answer(b'{"detail": "scanned_after is too large"}', status="400 Bad Request"), cut]
    with pytest.raises(SourceRefused, match="answered 400: scanned_after is too large"):
        stage(client, server, target, tries=3)
    assert len(server.requests) == 4


def test_the_last_of_the_tries_raises_its_own_error(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(b"", status="503 Service Unavailable", Retry_After="0")]
    with pytest.raises(SourceUnavailable, match="answered 503"):
        stage(client, server, target, tries=2)
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_named(client: HttpClient, tmp_path: Path) -> None:
    api = WindowedApi(url="http://127.0.0.1:9/stream", schema=FLOWS)
    with pytest.raises(SourceUnavailable, match=r"http://127.0.0.1:9/stream gives no answer .*Connection refused"):
        fetch_window(client, api, BOUNDS, tmp_path / "x.parquet", tries=1)


@pytest.mark.parametrize("fault", ["short", "no terminator", "inside a chunk", "reset length"])
def test_a_transfer_cut_at_any_byte_is_refused(
    client: HttpClient, server: ScriptedServer, target: Path, fault: str
) -> None:
    body = json_body(ROWS)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.scripts = [
        {
            "short": answer(body)[:-1],
            "no terminator": head + b"%x\r\n%s\r\n" % (len(body), body),
            "inside a chunk": head + b"%x\r\n%s" % (len(body), body[:100]),
            "reset length": head + b"zz\r\n",
        }[fault]
    ]
    with pytest.raises(StreamIncomplete):
        stage(client, server, target)
    assert not target.exists()


def test_gzip_and_zstd_are_read_and_must_be_whole(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    body = json_body(ROWS)
    packed = {"gzip": gzip.compress(body), "zstd": zstandard.compress(body)}
    for coding, data in packed.items():
        server.scripts = [answer(data, Content_Encoding=coding)]
        assert stage(client, server, target, compression=("gzip", "zstd")).file.rows == 50
        for broken in (data[:-1], data[:-9], data[: len(data) // 2]):
            server.scripts = [answer(broken, Content_Encoding=coding)]
            with pytest.raises(StreamIncomplete):
                stage(client, server, target)
        server.scripts = [answer(data + b"more", Content_Encoding=coding)]
        with pytest.raises(SourceRefused, match="bytes follow the end"):
            stage(client, server, target)
    for data, note in (
        (packed["zstd"], "the zstd body carries no checksum: a byte that changed on its way may pass"),
        (zstandard.ZstdCompressor(write_checksum=True).compress(body), ""),
    ):
        server.scripts = [answer(data, Content_Encoding="zstd")]
        assert stage(client, server, target).answers.level_reason == note
    server.scripts = [answer(body, Content_Encoding="br")]
    with pytest.raises(SourceRefused, match="coded as 'br'"):
        stage(client, server, target)


def test_authentication_goes_into_headers_and_nowhere_else(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body(ROWS))]
    key, secrets = Secret(env="KEY"), {"KEY": "canary", "USER": "user"}
    for auth, header in (
        (Bearer(token=key), "Authorization: Bearer canary"),
        (Basic(user=Secret(env="USER"), password=key), "Authorization: Basic dXNlcjpjYW5hcnk="),
        (HeaderKey(name="apiKey", value=key), "apiKey: canary"),
    ):
        fetched = stage(client, server, target, auth=auth, secrets=secrets)
        assert header in server.requests[-1]
        assert "canary" not in repr(WindowedApi(url="", schema=FLOWS, auth=auth, secrets=secrets)) + repr(fetched)


def test_pages_are_followed_and_each_is_proven(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    following = f"{server.url}?page=2"
    server.scripts = [
        answer(json_body(ROWS[:30]), Record_Count="30", Link=f'<{following}>; rel="next"'),
        answer(json_body(ROWS[30:]), Record_Count="20"),
    ]
    assert stage(client, server, target, paging=LinkHeader()).file.rows == 50
    assert server.requests[1].startswith("GET /api/v1/stream/flows?page=2 ")
    server.scripts = [answer(json_body(ROWS[:30]), Link='<http://elsewhere/>; rel="next"')]
    with pytest.raises(SourceRefused, match="another origin"):
        stage(client, server, target, paging=LinkHeader())
