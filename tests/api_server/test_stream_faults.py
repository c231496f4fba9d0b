"""What goes wrong on the way: the transfer breaks off and never ends its document; nothing stays open."""

import gc
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from flows_platform.formats.protocol.names import WireFormat
from tests.conditions import eventually

from .conftest import Serve, Server, build, build_plain, drained, flow, flows, insert, open_files

STREAM = "/api/v1/stream/flows"
END_MARKS = {
    WireFormat.JSON: b'"end"',
    WireFormat.XML: b"<?end",
    WireFormat.ARROW: b"\xff\xff\xff\xff\0\0\0\0",
}


@contextmanager
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def broken_off(server: Server, path: str, **headers: str) -> bytes:
    """What came before the reset."""
    pieces: list[bytes] = []
    with server.answer(path, **headers) as response:
        assert response.status == 200
        with pytest.raises(ConnectionResetError):
            pieces.extend(drained(response.read1))
    return b"".join(pieces)


@pytest.mark.parametrize("wire_format", list(WireFormat))
@pytest.mark.parametrize("value", [None, "many", 1.5, b"\x01"], ids=repr)
def test_a_value_of_another_type_breaks_the_stream_off(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, wire_format: WireFormat, value: object
) -> None:
    rows = [*flows(20_000), (*flow(20_001)[:-1], value)]
    database = build_plain(tmp_path / "flows.db", rows)  # type: ignore[arg-type]
    server = serve(database, send_buffer=2**16)  # a reset drops what the kernel still holds
    received = broken_off(server, f"{STREAM}?format={wire_format}")
    assert len(received) > 100_000
    mark = END_MARKS.get(wire_format)
    assert mark is None or not received.rstrip().endswith(mark)
    assert mark is None or wire_format is WireFormat.ARROW or mark not in received
    assert "table flows: the row with id 20001 holds" in caplog.text
    assert "column byte_count" in caplog.text


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_compressed_stream_breaks_off_too(serve: Serve, tmp_path: Path, coding: str) -> None:
    server = serve(build_plain(tmp_path / "flows.db", [*flows(5000), flow(5001, time=None)]))
    broken_off(server, f"{STREAM}?format=ndjson", Accept_Encoding=coding)


@pytest.mark.parametrize("data", ["c328", "eda080", "ff", "61c3"], ids=["pair", "surrogate", "byte", "cut"])
def test_text_that_is_not_utf8_breaks_the_stream_off(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    database = build(tmp_path / "flows.db", flows(5000))
    connection = apsw.Connection(str(database))
    connection.execute(f"UPDATE flows SET dst_comp = CAST(x'{data}' AS TEXT) WHERE id = 4000")
    connection.close()
    received = broken_off(serve(database), f"{STREAM}?format=json")
    assert b'"end"' not in received
    assert "is not valid UTF-8" in caplog.text


def test_a_reader_of_http_1_0_sees_a_reset(serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(build_plain(tmp_path / "flows.db", [*flows(20_000), flow(20_001, time=None)]))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {STREAM} HTTP/1.0\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            list(drained(client.recv))
    assert eventually(lambda: "aborted" in caplog.text)
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None


def test_facts_that_are_wrong_break_the_stream_off(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(5000))
    connection = apsw.Connection(str(database))
    connection.execute("DROP TRIGGER flows_facts_delete")
    connection.execute("DELETE FROM flows WHERE id BETWEEN 3000 AND 3009")
    connection.close()
    assert b'"end"' not in broken_off(serve(database), STREAM)


def test_a_database_replaced_on_the_way(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(200_000))
    server = serve(database)
    with server.answer(f"{STREAM}?format=ndjson") as response:
        text = response.read(1000)
        new = build(tmp_path / "new.db", [flow(number, src_comp="new") for number in range(1, 11)])
        os.replace(new, database)  # noqa: PTH105  the very call a load ends with
        _, other = server.get(f"{STREAM}?format=ndjson")
        text += response.read()
    lines = text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(1, 200_001))
    assert b'"new"' not in text
    assert other.count(b'"new"') == len(other.splitlines()) == 10
    assert eventually(lambda: open_files(database) == 0)


def test_a_writer_in_place_waits_or_is_not_seen(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(200_000))
    server = serve(database)
    writer = apsw.Connection(str(database))
    with server.answer(f"{STREAM}?format=ndjson") as response:
        text = response.read(1000)
        with pytest.raises(apsw.BusyError):
            insert(writer, [flow(300_000)])
        text += response.read()
    assert len(text.splitlines()) == 200_000
    assert eventually(lambda: open_files(database) == 1)  # the writer's own
    insert(writer, [flow(300_000)])
    writer.close()
    assert server.get(STREAM, "HEAD")[0].headers["Record-Count"] == "200001"


def test_a_wal_database_is_served_from_one_state(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(200_000))
    writer = apsw.Connection(str(database))
    writer.pragma("journal_mode", "wal")
    insert(writer, [flow(250_000)])
    server = serve(database)
    with server.answer(f"{STREAM}?format=ndjson") as response:
        text = response.read(1000)
        writer.execute("DELETE FROM flows WHERE id > 5")
        text += response.read()
    assert len(text.splitlines()) == 200_001
    assert server.get(STREAM, "HEAD")[0].headers["Record-Count"] == "5"
    writer.close()


@pytest.mark.parametrize("kind", ["loaded", "plain"])
def test_clients_that_leave_free_everything(serve: Serve, tmp_path: Path, kind: str) -> None:
    database = (build if kind == "loaded" else build_plain)(tmp_path / "flows.db", flows(100_000))
    server = serve(database)
    with no_collection():
        for number in range(30):
            wire_format, coding = list(WireFormat)[number % 5], ["gzip", "zstd", "identity"][number % 3]
            query = f"scanned_before={9000}&format={wire_format}"
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(
                    f"GET {STREAM}?{query} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n".encode()
                )
                client.recv(1 if number % 2 else 50_000)
        assert eventually(lambda: open_files(database) == 0)


def test_requests_that_end_free_everything(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(20_000))
    server = serve(database)
    with no_collection():
        for path in (STREAM, f"{STREAM}?limit=0", "/healthz", "/api/v1/flows/latest", "/"):
            server.get(path)
            server.get(path, "HEAD")
        assert eventually(lambda: open_files(database) == 0)


def test_long_texts_split_chunks(serve: Serve, tmp_path: Path) -> None:
    long = "x" * 3_000_000
    rows = flows(600)
    rows[300:306] = [flow(number + 1, src_comp=long, dst_comp="a\0b") for number in range(300, 306)]
    rows[400] = flow(401, src_comp="y" * 9_000_000)
    _, body = serve(build(tmp_path / "flows.db", rows)).get(f"{STREAM}?format=ndjson")
    assert [tuple(json.loads(line).values()) for line in body.splitlines()] == rows


def test_a_database_that_goes_away_is_a_problem(serve: Serve, tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(10))
    server = serve(database)
    database.unlink()
    for path in (STREAM, "/healthz", "/api/v1/flows/latest", "/"):
        response, body = server.get(path)
        assert response.status == 503
        assert response.headers["Content-Type"] == "application/problem+json"
        assert str(tmp_path) not in body.decode()
    build_plain(database, []).write_bytes(b"no database at all" * 100)
    assert server.get("/healthz")[0].status == 503
    database.unlink()
    build(database, flows(10))
    assert server.get("/healthz")[0].status == 200
