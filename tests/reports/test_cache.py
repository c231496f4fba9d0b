"""Kept answers: bounded in memory and on disk, and never a damaged one."""

import os
from pathlib import Path

from flows_platform.reports.cache import AnswerCache, DiskCache, MemoryCache


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


def test_files_are_bounded_and_whole(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 200)
    for index, key in enumerate("abcde"):
        cache.put(key, b"x" * 18)
        os.utime(tmp_path / f"{key}.answer", (index, index))
    assert cache.get("b") == b"x" * 18  # used now
    cache.put("f", b"x" * 18)
    left = [key for key in "abcdef" if (tmp_path / f"{key}.answer").exists()]
    assert left == ["b", "d", "e", "f"]  # 50 bytes each, with their digests
    file = tmp_path / "f.answer"
    file.write_bytes(file.read_bytes()[:-1] + b"y")
    assert cache.get("f") is None
    assert not file.exists()


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
