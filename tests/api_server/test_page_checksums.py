"""What is served is what was loaded: of a file with flipped bits nothing else comes whole, with or without a digest."""

import random
import sqlite3
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

import apsw
import pytest

from api_server.flows.database import Snapshot
from flows_platform.domain.errors import InputError
from flows_platform.flow_database.load import load
from flows_platform.flow_database.page_checksums import DamagedDatabase, protection
from flows_platform.flow_database.read import iter_rows
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Serve, Server, build, configured, flows, running

STREAM = "/api/v1/stream/flows"
QUERIES = ("?format=ndjson", "?scanned_after=100&scanned_before=500&format=ndjson&digest=1", "?limit=70&format=csv")
ROWS = 12_000
PAGE = 32_768  # bytes
FLIPPED = 24  # of 200 that were tried once, and as many with eight bits


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loaded")
    clean = folder / "clean.csv"
    clean.write_text("".join(",".join(map(str, row)) + "\n" for row in flows(ROWS)))
    load(clean, folder / "flows.db", FLOWS)
    return folder / "flows.db"


def answers(database: Path) -> list[bytes | None]:
    """The answer of every query, None where it is refused or broken off."""
    try:
        with running(*configured(database, shutdown_seconds=1)) as server:
            return [whole(server, query) for query in QUERIES]
    except (InputError, apsw.Error):
        return [None] * len(QUERIES)


def whole(server: Server, query: str = QUERIES[0]) -> bytes | None:
    try:
        response, body = server.get(STREAM + query)
    except (OSError, HTTPException):
        return None
    return body if response.status == HTTPStatus.OK else None


def flipped(database: Path, target: Path, *bits: int) -> Path:
    data = bytearray(database.read_bytes())
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("bits", [1, 8])
def test_flipped_bits_are_never_served_whole(loaded: Path, tmp_path: Path, bits: int) -> None:
    right, drawn, size = answers(loaded), random.Random(bits), loaded.stat().st_size * 8
    assert None not in right
    refused = 0
    for _ in range(FLIPPED // 2):
        given = answers(flipped(loaded, tmp_path / "flows.db", *(drawn.randrange(size) for _ in range(bits))))
        assert all(answer in {None, known} for answer, known in zip(given, right, strict=True))
        refused += None in given
    assert refused > FLIPPED // 4


def offset_of(database: Path, text: bytes) -> int:
    return database.read_bytes().index(text)


def test_a_digit_that_changed_breaks_the_stream_off_and_is_logged(
    serve: Serve, loaded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offset = offset_of(loaded, b"C411N")  # a text, which any other text could be
    server = serve(flipped(loaded, tmp_path / "flows.db", offset * 8 + 8))
    assert whole(server) is None
    page = offset // PAGE + 1
    assert f"page {page} of {tmp_path}" in caplog.text
    assert "is not as the load wrote it" in caplog.text


@pytest.mark.parametrize(("page", "query"), [(5, ""), (11, "?scanned_after=520")], ids=["planned", "sent first"])
def test_damage_before_the_first_byte_is_a_problem(
    serve: Serve, loaded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, page: int, query: str
) -> None:
    """In a page that is read to plan the stream, and in the first one of which rows are sent."""
    server = serve(flipped(loaded, tmp_path / "flows.db", (page * PAGE + 16_000) * 8))
    response, body = server.get(STREAM + query)
    assert response.status == 500
    assert b'"/#database-damaged"' in body
    assert str(tmp_path).encode() not in body
    assert "is not as the load wrote it" in caplog.text


def test_damage_while_the_server_runs_is_seen(serve: Serve, loaded: Path, tmp_path: Path) -> None:
    """The same file, overwritten: when a disk fails, neither its time nor its size need change."""
    database = flipped(loaded, tmp_path / "flows.db")
    server = serve(database)
    assert whole(server) is not None
    offset = offset_of(database, b"C411N")
    with database.open("r+b") as file:
        file.seek(offset + 1)
        file.write(b"5")
    assert whole(server) is None


@pytest.mark.parametrize("part", ["sums", "tail", "mark", "cut"])
def test_damaged_checksums_are_damage(loaded: Path, tmp_path: Path, part: str) -> None:
    size = loaded.stat().st_size
    offset = {"sums": size - 60, "tail": size - 40, "mark": size - 3, "cut": 0}[part]
    database = flipped(loaded, tmp_path / "flows.db", offset * 8) if offset else tmp_path / "flows.db"
    if part == "cut":
        database.write_bytes(loaded.read_bytes()[:-9])
    with pytest.raises(DamagedDatabase):
        Snapshot.open(database, FLOWS)


def test_other_readers_compare_too(loaded: Path, tmp_path: Path) -> None:
    database = flipped(loaded, tmp_path / "flows.db", offset_of(loaded, b"C411N") * 8 + 8)
    assert len(list(iter_rows(loaded, FLOWS))) == ROWS
    with pytest.raises(DamagedDatabase, match="not as the load wrote it"):
        list(iter_rows(database, FLOWS))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE flows SET src_comp = 'changed' WHERE id = 7000",
        f"INSERT INTO flows SELECT id + 100000, {', '.join(FLOWS.names[1:])} FROM flows",
        "VACUUM",
    ],
)
def test_a_change_by_sqlite_is_no_damage(loaded: Path, tmp_path: Path, change: str) -> None:
    database = flipped(loaded, tmp_path / "flows.db")
    assert protection(database) is None
    with sqlite3.connect(database) as connection:
        connection.execute(change)
        connection.commit()
        expected = connection.execute("SELECT * FROM flows ORDER BY id").fetchall()
    connection.close()
    assert protection(database) is not None
    assert list(iter_rows(database, FLOWS)) == expected


def test_an_older_database_is_served_and_said_to_be_unproven(tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(100))
    assert protection(database) == "it has no checksums, or was extended since its load"
    assert None not in answers(database)


def test_sqlite_finds_nothing_amiss(loaded: Path, tmp_path: Path) -> None:
    with sqlite3.connect(flipped(loaded, tmp_path / "flows.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_the_comparison_is_off_where_it_is_said(loaded: Path, tmp_path: Path) -> None:
    database = flipped(loaded, tmp_path / "flows.db", offset_of(loaded, b"C411N") * 8 + 8)
    with running(*configured(database, shutdown_seconds=1, compare_pages=False)) as server:
        assert whole(server) is not None
