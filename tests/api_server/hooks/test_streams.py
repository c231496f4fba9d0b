"""Streams of records hold few bytes, whatever the sizes of records and details."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api_server.hooks.streams import SMALL, RecordStreams
from api_server.hooks.threatstack_routes import _alert
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.archived_records import ArchivedRecord, RecordReader
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.key_list import KeyList

START, END = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)
MOST = 40 << 20  # bytes that a stream may hold: 32 details of 4 MB are 128 MB
LARGEST_DETAIL = 4 << 20


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[RecordReader]:
    journal = Journal(tmp_path / "alerts.db")
    yield RecordReader("vendor_alerts", Archive(FileStore(tmp_path / "archive")), journal, has_details=True)
    journal.close()


def archived(folder: Path, sizes: list[int]) -> list[str]:
    """Records, each with a detail of a size; gives their ids in the order of their keys."""
    store = Archive(FileStore(folder / "archive"))
    ids = [f"id-{number:03}" for number in range(len(sizes))]
    for one, size in zip(ids, sizes, strict=True):
        store.store.create(f"webhooks/2024/03/01/12/30/{one}", json.dumps({"id": one}).encode())
        store.store.create(store.detail_key(one), b'{"text":"%s"}' % (b"x" * (size - 11)))
    return ids


async def streamed(reader: RecordReader, *, original: bool) -> tuple[list[int], bytes]:
    """The sizes of pieces, and the start of each record."""
    streams, keys = RecordStreams(), KeyList(reader.between(START, END))
    sizes, starts = list[int](), b""
    source = (
        streams.members(reader, keys, _alert) if original else streams.lines(reader, keys, footer=True, digest=True)
    )
    try:
        async for piece in source:
            sizes.append(len(piece))
            starts += b"".join(line[:40] for line in piece.splitlines())
    finally:
        keys.close()
        streams.close()
    return sizes, starts


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("size", [LARGEST_DETAIL, SMALL])
def test_large_details_are_read_one_by_one(tmp_path: Path, reader: RecordReader, size: int, *, original: bool) -> None:
    ids = archived(tmp_path, [size] * 64)
    tracemalloc.start()
    try:
        sizes, starts = asyncio.run(streamed(reader, original=original))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) >= size * len(ids)
    assert peak < MOST
    if not original:
        assert [starts.index(f'"{one}"'.encode()) for one in ids] == sorted(
            starts.index(f'"{one}"'.encode()) for one in ids
        )


def test_small_and_large_details_keep_their_order(tmp_path: Path, reader: RecordReader) -> None:
    ids = archived(tmp_path, [LARGEST_DETAIL if number % 7 == 3 else 200 for number in range(50)])
    _, starts = asyncio.run(streamed(reader, original=False))
    assert [starts.index(f'"{one}"'.encode()) for one in ids] == sorted(
        starts.index(f'"{one}"'.encode()) for one in ids
    )
    assert starts.count(b'"record_id"') == len(ids)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"id": 1}', b'{"id": 1,"detail":"pending"}'),
        (b'{"detail": 1}', b'{"detail": 1}'),
        (b'{"\\u0064etail": 1}', b'{"\\u0064etail": 1}'),
        (b'{"of": {"detail": 1}}', b'{"of": {"detail": 1},"detail":"pending"}'),
        (b'{"of": "\\u0064"}\n', b'{"of": "\\u0064","detail":"pending"}'),
    ],
)
def test_a_member_detail_of_a_record_stays(record: bytes, expected: bytes) -> None:
    assert _alert(ArchivedRecord("id-1", record, None, "pending")) == expected
