"""Blocks of whole lines from plain and gzip files; damage is reported with its position."""

import gzip
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import InputError
from flows_platform.flow_database.line_blocks import MAX_LINE_BYTES, first_lines, line_blocks
from flows_platform.runtime.read_ahead import read_ahead


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks")


@given(
    content=st.lists(st.sampled_from([b"a", b"bc,", b"\n", b"\r\n", b"\0", b"\xff"])).map(b"".join),
    size=st.integers(1, 9),
    packed=st.booleans(),
)
def test_blocks_are_the_content_cut_at_newlines(scratch: Path, content: bytes, size: int, packed: bool) -> None:  # noqa: FBT001 - a drawn value
    path = scratch / "content"
    path.write_bytes(gzip.compress(content) if packed else content)
    blocks = list(line_blocks(path, block_bytes=size))
    assert b"".join(blocks) == content
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert all(blocks)


def test_members_of_a_gzip_file_follow_each_other_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "flows.txt"
    path.write_bytes(gzip.compress(b"1,a\n2,") + gzip.compress(b"b\n") + bytes(512))
    assert b"".join(line_blocks(path)) == b"1,a\n2,b\n"


def noise() -> bytes:
    return random.Random(0).randbytes(200_000)


@pytest.mark.parametrize("cut", [3, 9, 17, 5_000, 100_000, -9, -8, -4, -1])
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "flows.txt.gz"
    path.write_bytes(gzip.compress(noise())[:cut])
    with pytest.raises(InputError, match=r"flows\.txt\.gz is a truncated or damaged gzip file.*bytes of content"):
        list(line_blocks(path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed + b"garbage",
        lambda packed: packed + b"\x1f",
        lambda packed: packed[:500] + b"XXXX" + packed[504:],
        lambda packed: packed[:-8] + b"XXXX" + packed[-4:],
        lambda packed: packed[:-4] + b"XXXX",
        lambda packed: packed[:10] + b"\xff\xff\xff" + packed[13:],
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "flows.txt.gz"
    path.write_bytes(damage(gzip.compress(noise())))
    with pytest.raises(InputError, match="truncated or damaged"):
        list(line_blocks(path))


def test_a_line_beyond_the_limit_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gz"
    path.write_bytes(gzip.compress(b"1,2\n" + bytes(MAX_LINE_BYTES + 1)))
    with pytest.raises(InputError, match="more than 16 MiB, which starts at byte 4"):
        list(line_blocks(path))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            list(line_blocks(path))


def test_progress_counts_bytes_of_the_file_at_rest(tmp_path: Path) -> None:
    path, told = tmp_path / "flows.gz", []
    path.write_bytes(gzip.compress(b"1,2\n" * 500_000))
    list(line_blocks(path, lambda done, total: told.append((done, total))))
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_first_lines(tmp_path: Path) -> None:
    path = tmp_path / "flows.txt"
    path.write_bytes(b"a\nb\r\nc")
    assert first_lines(path, 2) == [b"a", b"b\r"]
    assert first_lines(path, 9) == [b"a", b"b\r", b"c"]
    path.write_bytes(b"")
    assert first_lines(path, 2) == []


def test_reading_ahead_keeps_order_and_raises_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(100)
        raise InputError("broken")

    seen: list[int] = []
    with pytest.raises(InputError, match="broken"):
        deque(map(seen.append, read_ahead(items())))
    assert seen == list(range(100))
