"""Reading plain or gzip files as blocks of whole lines, in bounded memory. Knows nothing of fields."""

import os
from collections.abc import Callable, Iterator
from gzip import BadGzipFile
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, igzip_lib

from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent
from flows_platform.stores.files import reading

BLOCK_BYTES = 512 * 1024  # fits the second-level cache: 64 KiB costs a fifth, 4 MiB gains nothing
MAX_LINE_BYTES = 16 << 20
GZIP_MAGIC = b"\x1f\x8b"
# isal's stubs leave the one without types and call the other, a class, an instance.
INFLATING = cast("Callable[[BinaryIO, str], BinaryIO]", igzip.open)
INFLATE_ERROR = cast("type[Exception]", igzip_lib.IsalError)


def line_blocks(path: Path, progress: Progress = silent, *, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks of about `block_bytes` that end at a line's end; only the file's last line may lack its newline.

    A file is gzip if its first two bytes say so, whatever its name. Progress in bytes of the file as it rests.

    Raises:
        InputError: the file is missing, not readable, a truncated or damaged gzip, or has a line over 16 MiB.
    """
    with reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for block in _whole_lines(path, _pieces(path, file, block_bytes)):
            progress(file.tell(), size)
            yield block


def first_lines(path: Path, count: int) -> list[bytes]:
    """The first `count` lines without their newlines, for people to look at.

    Raises:
        InputError: as `line_blocks`.
    """
    lines: list[bytes] = []
    for block in line_blocks(path):
        # Cut inside the block: splitting all of it for five lines would be waste.
        lines += block.removesuffix(b"\n").split(b"\n", count - len(lines))[: count - len(lines)]
        if len(lines) >= count:
            break
    return lines


def _pieces(path: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    """The content, inflated where it is gzip, in pieces of at most `size` bytes."""
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    stream = INFLATING(file, "rb") if magic == GZIP_MAGIC else file
    inflated = 0
    try:
        while piece := stream.read(size):
            inflated += len(piece)
            yield piece
    except EOFError as error:
        cause = "it ends before its end marker, or something that is not gzip follows it"
        raise _damaged(path, inflated, cause) from error
    except (BadGzipFile, INFLATE_ERROR) as error:
        raise _damaged(path, inflated, str(error)) from error


def _damaged(path: Path, inflated: int, cause: str) -> InputError:
    return InputError(
        f"{path} is a truncated or damaged gzip file: {cause} (after {inflated:,} bytes of content).",
        remedy="Fetch the file again; `gzip -t` tells whether a copy is whole.",
    )


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
                remedy="Check that this is the file of comma-separated lines that was meant.",
            )
    if rest:
        yield rest
