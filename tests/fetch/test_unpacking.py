"""Bodies that are gzip or zip files: read whole in constant memory, or refused with the reason."""

import gzip
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import zstandard

from flows_platform.domain.errors import PlatformError, SourceRefused, StorageError, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch import unpacking
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http import decompression
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.unpacking import Packing, Unpacking
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.window_files.raw_answers import RawPulls
from tests.fetch.declared_api import DAY, IDS, RECORDS, declared, ids

from .scripted import ScriptedServer, answer

LINES = [json.dumps(record).encode() + b"\n" for record in RECORDS]
BODY = b"".join(LINES)
CSV = b"id,at\r\n" + b"".join(f"{record['id']},{record['at']}\r\n".encode() for record in RECORDS)
GZIP = {"format": "ndjson", "unpack": "gzip", "verification": "framing"}
BOMB = bytes(1 << 20)
ZIP = {"format": "csv", "unpack": "zip", "verification": "framing"}


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def split_csv(*counts: int) -> list[tuple[str, bytes]]:
    """Files of so many records, each with its header."""
    header, *rows = CSV.splitlines(keepends=True)
    files = []
    for number, count in enumerate(counts):
        files.append((f"{number}.csv", header + b"".join(rows[:count])))
        rows = rows[count:]
    return files


@pytest.fixture(autouse=True)
def small_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio is checked from the first bytes on."""
    monkeypatch.setattr(decompression, "FREE_EXPANSION", 1 << 16)


def as_packed(server: ScriptedServer, body: bytes, kind: str = "application/octet-stream", **headers: str) -> None:
    server.scripts = [answer(body, kind=kind, **headers)]


@pytest.mark.parametrize("kind", ["application/gzip", "application/x-gzip", "binary/octet-stream", "application/jsonl"])
@pytest.mark.parametrize("cut", [0, 2, 5])
def test_all_members_of_a_gzip_file_are_read(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, cut: int, kind: str
) -> None:
    as_packed(server, gzip.compress(b"".join(LINES[:cut])) + gzip.compress(b"".join(LINES[cut:])), kind)
    assert ids(client, declared(tmp_path, server.url, **GZIP)) == IDS


def test_members_of_csv_may_each_have_the_header(tmp_path: Path, client: HttpClient, server: ScriptedServer) -> None:
    as_packed(server, b"".join(gzip.compress(content) for _, content in split_csv(2, 3)))
    assert ids(client, declared(tmp_path, server.url, format="csv", unpack="gzip")) == IDS


def test_a_document_in_a_gzip_file_keeps_its_envelope(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    document = {"data": RECORDS, "next_cursor": "x"}
    as_packed(server, gzip.compress(json.dumps(document).encode()), "application/gzip")
    with pytest.raises(SourceRefused, match=r"nothing reads: next_cursor"):
        ids(client, declared(tmp_path, server.url, unpack="gzip"))
    as_packed(server, gzip.compress(json.dumps({"data": RECORDS, "all": 5}).encode()), "application/gzip")
    assert ids(client, declared(tmp_path, server.url, unpack="gzip", total="all", verification="count")) == IDS


def level(client: HttpClient, folder: Path, url: str, **api: object) -> Verification:
    stream = WindowStream(FetchPlan(client, declared(folder, url, **api), DAY))
    for _ in stream:
        pass
    return stream.result().level


def test_a_gzip_file_is_framed_if_the_transfer_is_too(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    free = {**GZIP, "verification": "unverified"}
    as_packed(server, gzip.compress(BODY))
    assert level(client, tmp_path, server.url, **free) is Verification.FRAMING
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nConnection: close\r\n\r\n"
    server.scripts = [head + gzip.compress(BODY)]
    assert level(client, tmp_path, server.url, **free) is Verification.UNVERIFIED
    server.scripts = [head + zipped(*split_csv(5))]
    as_zip = {**ZIP, "content_types": ["application/gzip"]}
    assert level(client, tmp_path, server.url, **as_zip) is Verification.FRAMING


@pytest.mark.parametrize("twice", [False, True])
def test_a_coding_of_gzip_is_undone_first(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, *, twice: bool
) -> None:
    packed = gzip.compress(BODY)
    as_packed(server, gzip.compress(packed) if twice else packed, Content_Encoding="x-gzip")
    assert ids(client, declared(tmp_path, server.url, **GZIP)) == IDS


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (gzip.compress(BODY)[:-1], StreamIncomplete, "before its end mark"),
        (gzip.compress(BODY)[:1], StreamIncomplete, "before its end mark"),
        (gzip.compress(BODY) + gzip.compress(BODY)[:9], StreamIncomplete, "before its end mark"),
        (gzip.compress(BODY)[:-8] + bytes(8), StreamIncomplete, "damaged .*incorrect data check"),
        (gzip.compress(BODY) + b"more", SourceRefused, "bytes follow the end of the gzip body"),
        (gzip.compress(BODY) + bytes(512), SourceRefused, "bytes follow the end of the gzip body"),
        (BODY, SourceRefused, r"not a gzip file: it begins with b'\{\"id\": 0"),
        (b"<html>no</html>", SourceRefused, "not a gzip file.*leave out `unpack`"),
        (gzip.compress(b""), StreamIncomplete, r"is empty.*`nothing: \[empty\]`"),
        (gzip.compress(b"\n\n"), StreamIncomplete, "is empty"),
        (b"", StreamIncomplete, "is empty"),
        (gzip.compress(BOMB), SourceRefused, "expands more than 250 times"),
        (gzip.compress(gzip.compress(BODY)), StreamIncomplete, "ends inside a line"),
    ],
    ids=lambda given: "" if isinstance(given, bytes) else None,  # gzip writes the time
)
def test_a_gzip_file_that_is_not_whole_is_refused(  # noqa: PLR0917 - pytest names them
    tmp_path: Path, client: HttpClient, server: ScriptedServer, body: bytes, error: type[PlatformError], words: str
) -> None:
    as_packed(server, body)
    with pytest.raises(error, match=words):
        ids(client, declared(tmp_path, server.url, **GZIP, record_bytes=2 << 20))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("counts", [[5], [2, 3], [0, 1, 4, 0]])
def test_every_file_of_a_zip_has_its_header(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, counts: Sequence[int], method: int
) -> None:
    as_packed(server, zipped(("in/", b""), *split_csv(*counts), method=method), "application/zip")
    assert ids(client, declared(tmp_path, server.url, **ZIP)) == IDS


def test_a_zip_written_to_a_stream_is_read(tmp_path: Path, client: HttpClient, server: ScriptedServer) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"made today"
        for name, content in split_csv(2, 3):
            with archive.open(name, "w", force_zip64=name == "1.csv") as file:
                file.write(content)
    as_packed(server, out.getvalue())
    assert ids(client, declared(tmp_path, server.url, **ZIP)) == IDS


def test_begin_and_end_lines_are_those_of_every_file(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    files = [(name, b"\xef\xbb\xbf# day\nbegin\n" + content + b"end\n") for name, content in split_csv(2, 3)]
    keys = {**ZIP, "csv": {"skip": 1, "begin": "begin", "end": "end"}}
    as_packed(server, zipped(*files))
    assert ids(client, declared(tmp_path, server.url, **keys)) == IDS
    as_packed(server, zipped(files[0], (files[1][0], files[1][1].removesuffix(b"end\n"))))
    with pytest.raises(StreamIncomplete, match=r"in '1.csv': the CSV answer ends without its end line 'end'"):
        ids(client, declared(tmp_path, server.url, **keys))


def test_a_larger_zip_goes_through_a_file_in_the_folder(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "IN_MEMORY", 10)
    as_packed(server, zipped(*split_csv(2, 3)))
    api = declared(tmp_path, server.url, **ZIP)
    assert ids(client, api) == IDS
    assert api.unpacking is not None
    assert list(api.unpacking.folder.iterdir()) == []
    monkeypatch.setattr(unpacking, "SpooledTemporaryFile", _full)
    with pytest.raises(StorageError, match=r"cannot be kept in .*unpacking while it is read: No space left"):
        ids(client, api)


def _full(*_: object, **__: object) -> object:
    raise OSError(28, "No space left on device")


def damaged(change: str) -> bytes:
    whole = bytearray(zipped(*split_csv(2, 3)))
    listed = whole.index(b"PK\x01\x02")
    if change == "encrypted":
        whole[listed + 8] |= 1
    elif change == "method":
        whole[listed + 10] = 12
    elif change == "content":
        whole[40] ^= 0xFF
    elif change == "checksum":
        whole[listed + 16] ^= 0xFF
    elif change == "list":
        whole[listed] = 0
    elif change == "local":
        whole[0] = 0x51
    elif change == "version":
        whole[listed + 6] = 99
    elif change == "offset":
        struct.pack_into("<I", whole, whole.index(b"PK\x01\x02", listed + 1) + 42, 0)
    return bytes(whole)


def unlisted() -> bytes:
    """A zip file whose list leaves out the first file."""
    whole, first = zipped(*split_csv(2, 3)), zipped(*split_csv(2))
    listed, size = whole.index(b"PK\x01\x02"), first.index(b"PK\x05\x06") - first.index(b"PK\x01\x02")
    entries, end = whole[listed + size : whole.index(b"PK\x05\x06")], bytearray(whole[-22:])
    struct.pack_into("<HHII", end, 8, 1, 1, len(entries), listed)
    return whole[:listed] + entries + bytes(end)


WHOLE = zipped(*split_csv(5))
ZIPS = {
    "cut": (WHOLE[:-1], StreamIncomplete, "cut or damaged"),
    "half": (WHOLE[: len(WHOLE) // 2], StreamIncomplete, "cut or damaged"),
    "start": (WHOLE[:3], StreamIncomplete, "cut or damaged"),
    "after": (WHOLE + b"more", SourceRefused, "bytes follow the end of the zip file"),
    "two": (zipped(*split_csv(2)) + WHOLE, SourceRefused, "bytes at 0 that its list does not name"),
    "before": (b"PK\x03\x04" + WHOLE, SourceRefused, "4 bytes at 0 that its list does not name"),
    "unlisted": (unlisted(), SourceRefused, "bytes at 0 that its list does not name"),
    "encrypted": (damaged("encrypted"), SourceRefused, "'0.csv' in the zip file is encrypted"),
    "method": (damaged("method"), SourceRefused, r"compressed by method 12; only stored"),
    "content": (damaged("content"), StreamIncomplete, "in '0.csv': the zip file is cut or damaged"),
    "checksum": (damaged("checksum"), StreamIncomplete, "in '0.csv': .*Bad CRC-32"),
    "list": (damaged("list"), StreamIncomplete, "Bad magic number for central directory"),
    "local": (b"PK\x03\x04" + damaged("local")[4:], None, ""),
    "version": (damaged("version"), SourceRefused, "not supported: zip file version 9.9"),
    "offset": (damaged("offset"), SourceRefused, "overlap"),
    "twice": (zipped(("a.csv", CSV), ("b.csv", CSV)).replace(b"b.csv", b"a.csv"), SourceRefused, "lists 'a.csv' twice"),
    "other": (CSV, SourceRefused, "not a zip file: it begins with b'id,at"),
    "none": (zipped(), StreamIncomplete, r"is empty.*`nothing: \[empty\]`"),
    "folder": (zipped(("a/", b"")), StreamIncomplete, "is empty"),
    "empty file": (zipped(("a.csv", CSV), ("b.csv", b"")), StreamIncomplete, "in 'b.csv': the answer.* is empty"),
    "blank file": (zipped(("a.csv", CSV), ("b.csv", b"\n")), StreamIncomplete, "in 'b.csv': the answer.* is empty"),
    "html": (zipped(("a.csv", CSV), ("b.csv", b"<html>\n")), SourceRefused, "in 'b.csv': the CSV header"),
    "bomb": (zipped(("a.csv", CSV + BOMB)), SourceRefused, "in 'a.csv': .*expands more than 250 times"),
    "many": (zipped(*((f"{number:03000}", b"") for number in range(400))), SourceRefused, "the list of the zip file"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_a_zip_file_that_is_not_whole_is_refused(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, kind: str
) -> None:
    body, error, words = ZIPS[kind]
    as_packed(server, body)
    api = declared(tmp_path, server.url, **ZIP, record_bytes=2 << 20)
    if error is None:
        assert ids(client, api) == IDS
        return
    with pytest.raises(error, match=words):
        ids(client, api)


def test_files_without_content_hold_nothing_where_that_is_declared(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    keys = {**ZIP, "nothing": ["empty"]}
    as_packed(server, zipped(*split_csv(5), ("b.csv", b""), ("c.csv", b"\n")))
    assert ids(client, declared(tmp_path, server.url, **keys)) == IDS
    for nothing in (zipped(), zipped(("a.csv", b""))):
        as_packed(server, nothing)
        assert ids(client, declared(tmp_path, server.url, **keys)) == []


def test_folders_of_windows_and_resource_files_of_macos_hold_no_records(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    as_packed(server, zipped(("in\\", b""), *split_csv(5), ("__MACOSX/", b""), ("__MACOSX/in/._0.csv", b"\0\5\x16\7")))
    assert ids(client, declared(tmp_path, server.url, **ZIP)) == IDS
    as_packed(server, zipped(*split_csv(5), ("__MACOSX/1.csv", b"\0\5\x16\7")))
    with pytest.raises(SourceRefused, match=r"in '__MACOSX/1.csv': the CSV header"):
        ids(client, declared(tmp_path, server.url, **ZIP))


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_that_holds_nothing_does_not_speak_for_the_others(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, order: int
) -> None:
    nothing = ("0.json", json.dumps({"error": {"message": "no records", "code": "none"}}).encode())
    files = [nothing, ("1.json", json.dumps({"data": RECORDS}).encode())]
    errors = {"message": "error.message", "code": "error.code"}
    api = declared(tmp_path, server.url, unpack="zip", errors=errors, nothing=[{"code": "none"}])
    as_packed(server, zipped(*files[::order]))
    with pytest.raises(SourceRefused, match=r"after records of the same answer, in '0.json': .* no records"):
        ids(client, api)
    as_packed(server, zipped(nothing))
    assert ids(client, api) == []


def test_a_file_of_a_zip_that_says_more_fails_the_window(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    documents = [{"data": [record], "next": "x" if record["id"] == 1 else None} for record in RECORDS]
    files = [(f"{number}.json", json.dumps(document).encode()) for number, document in enumerate(documents)]
    as_packed(server, zipped(*files))
    with pytest.raises(SourceRefused, match=r"in '1.json': .* nothing reads: next"):
        ids(client, declared(tmp_path, server.url, unpack="zip"))
    assert ids(client, declared(tmp_path, server.url, unpack="zip", ignore_envelope=["next"])) == IDS


@pytest.mark.parametrize("packing", Packing)
def test_raw_answers_are_kept_as_they_were_sent(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, packing: Packing
) -> None:
    packed, keys = (gzip.compress(BODY), GZIP) if packing is Packing.GZIP else (zipped(*split_csv(2, 3)), ZIP)
    as_packed(server, packed)
    pulls = RawPulls(tmp_path, "pull")
    for _ in WindowStream(FetchPlan(client, declared(tmp_path, server.url, **keys), DAY, tee=pulls.page())):
        pass
    (page,) = pulls.path.iterdir()
    with zstandard.open(page, "rb") as kept:
        assert kept.read() == packed


def test_a_zip_file_is_only_so_large(tmp_path: Path) -> None:
    small = Unpacking(Packing.ZIP, tmp_path, most=len(WHOLE) - 1)
    with pytest.raises(SourceRefused, match=f"larger than {len(WHOLE) - 1} bytes"):
        list(small.files(io.BytesIO(WHOLE), decoded=False))


@pytest.mark.parametrize("packing", Packing)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, packing: Packing) -> None:
    content = os.urandom(3 << 20).hex().encode()
    packed = gzip.compress(content, 1) if packing is Packing.GZIP else zipped(("a", content), ("b", content))
    tracemalloc.start()
    files = Unpacking(packing, tmp_path).files(io.BytesIO(packed), decoded=False)
    read = sum(len(piece) for file in files for piece in iter(partial(file.source.read, 1 << 16), b""))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == len(content) * (1 if packing is Packing.GZIP else 2)
    assert peak < 3 << 20
