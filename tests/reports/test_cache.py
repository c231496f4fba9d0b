"""Kept answers: bounded in memory and on disk, and never a damaged one."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows_platform.reports.cache import BLOCK, USED, AnswerCache, DiskCache, MemoryCache
from tests.opens import Opens


def test_memory_is_bounded_by_bytes() -> None:
    cache = MemoryCache(40)
    for key in "abcd":
        cache.put(key, key.encode() * 10)
    assert cache.get("a") == b"a" * 10
    cache.put("e", b"e" * 10)
    assert cache.get("b") is None  # the one used longest ago
    assert cache.get("a") is not None
    cache.put("f", b"f" * 11)  # more than a quarter
    assert cache.get("f") is None
    cache.put("a", b"x")
    cache.put("g", b"g" * 9)
    assert cache.get("c") == b"c" * 10


def files_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.answer"))


def test_files_are_bounded_and_whole(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 5 * BLOCK)
    for index, key in enumerate("abcde"):
        cache.put(key, b"x" * 18)
        os.utime(tmp_path / f"{key}.answer", (index, index))
    assert files_in(tmp_path) == list("abcde")
    assert cache.get("b") == b"x" * 18  # used now
    cache.put("f", b"x" * 18)
    assert files_in(tmp_path) == ["b", "d", "e", "f"]  # a block each; at most 9 tenths are left
    file = tmp_path / "f.answer"
    file.write_bytes(file.read_bytes()[:-1] + b"y")
    assert cache.get("f") is None
    assert not file.exists()
    cache.put("large", b"x" * (5 * BLOCK // 4 + 1))  # more than a quarter
    assert cache.get("large") is None


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """Counts how often the folder `answers` is listed, by whichever server."""
    opens = Opens(tmp_path)
    yield opens
    opens.close()


def test_the_folder_is_listed_once_by_each_server_until_it_is_full(tmp_path: Path, opens: Opens) -> None:
    folder = tmp_path / "answers"
    for _ in range(2):
        cache = DiskCache(folder, 1000 * BLOCK)
        for index in range(100):
            cache.put(f"{index}", b"x")
    assert opens.of("answers") == 2
    assert len(files_in(folder)) == 100


def test_servers_of_one_folder_keep_the_bound_together(tmp_path: Path, opens: Opens) -> None:
    folder, puts, most = tmp_path / "answers", 400, 50
    servers = [DiskCache(folder, most * BLOCK) for _ in range(3)]
    for index in range(puts):
        servers[index % 3].put(f"{index}", b"x")
        if index % 7 == 0:
            assert len(files_in(folder)) <= most
    kept = files_in(folder)
    assert f"{puts - 1}" in kept
    assert len(kept) >= most * 9 // 10 - 1
    listings = puts // (most // 10)  # a tenth is freed each time
    checks = -(-puts // 7) + 1  # of this test, and at its end
    assert opens.of("answers") - checks <= listings + len(servers)


def test_threads_of_servers_keep_whole_answers(tmp_path: Path) -> None:
    servers = [DiskCache(tmp_path, 20 * BLOCK) for _ in range(2)]

    def put(index: int) -> None:
        servers[index % 2].put(f"{index % 30}", f"{index % 30}".encode() * 500)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(300)))
    kept = files_in(tmp_path)
    assert 0 < len(kept) <= 20
    assert all(servers[0].get(key) == key.encode() * 500 for key in kept)


def test_a_lost_or_damaged_count_is_made_again(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10 * BLOCK)
    for index in range(10):
        cache.put(f"{index}", b"x")
        for damaged in (b"", b"none", b"\xff"):
            (tmp_path / USED).write_bytes(damaged)
    (tmp_path / USED).unlink()
    cache.put("last", b"x")
    assert len(files_in(tmp_path)) == 9
    (tmp_path / USED).write_text("0")  # as after a power cut: the next server counts for itself
    for index in range(5):
        DiskCache(tmp_path, 10 * BLOCK).put(f"next {index}", b"x")
        assert len(files_in(tmp_path)) <= 10


def test_an_answer_outlives_the_server(tmp_path: Path) -> None:
    first = AnswerCache(tmp_path)
    first.put("kept", b"1", on_disk=True)
    first.put("gone", b"2", on_disk=False)
    second = AnswerCache(tmp_path)
    assert (second.at_hand("kept"), second.get("kept"), second.at_hand("kept"), second.get("gone")) == (
        None,
        b"1",
        b"1",
        None,
    )


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = AnswerCache(tmp_path / "file" / "folder")
    cache.put("a", b"1", on_disk=True)
    assert cache.get("a") == b"1"
    assert AnswerCache(tmp_path / "file" / "folder").get("a") is None
