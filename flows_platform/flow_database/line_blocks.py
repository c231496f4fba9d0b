"""Reads plain or packed files as blocks of whole lines, in bounded memory. Knows no fields."""

import os
from collections.abc import Iterator
from pathlib import Path

from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent
from flows_platform.flow_database.unpacking import content_pieces
from flows_platform.runtime.atomic_files import reading

BLOCK_BYTES = 512 * 1024  # fits the second-level cache: 64 KiB costs a fifth, 4 MiB gains nothing
MAX_LINE_BYTES = 16 << 20


def line_blocks(path: Path, progress: Progress = silent, *, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks of about `block_bytes` that end at a line's end; only the file's last line may lack its newline.

    Gzip, bzip2, xz and zip are recognized by their first bytes, not by the file's name. Progress in bytes of the file
    on disk.

    Raises:
        InputError: the file is missing, not readable, packed and cut or damaged, not lines of UTF-8, or has a line over
            16 MiB.
    """
    with reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for block in _whole_lines(path, content_pieces(path, file, block_bytes)):
            progress(file.tell(), size)
            yield block


def first_lines(path: Path, count: int) -> list[bytes]:
    """The first `count` lines without their newlines, for people to look at.

    Raises:
        InputError: as `line_blocks`.
    """
    lines: list[bytes] = []
    for block in line_blocks(path):
        # Split no further than needed: a block has thousands of lines.
        lines += block.removesuffix(b"\n").split(b"\n", count - len(lines))[: count - len(lines)]
        if len(lines) >= count:
            break
    return lines


def _whole_lines(path: Path, pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest, passed = b"", 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join((rest, memoryview(piece)[:end]))  # one copy
            passed += len(rest) + end
            rest = piece[end:]
        else:
            rest += piece
        if len(rest) > MAX_LINE_BYTES:
            raise InputError(
                f"{path} has a line of more than {MAX_LINE_BYTES >> 20} MiB, which starts at byte {passed:,}.",
                remedy="Check that this is the intended file of comma-separated lines.",
            )
    if rest:
        yield rest
