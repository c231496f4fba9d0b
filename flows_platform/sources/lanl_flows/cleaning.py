"""Raw lines to clean lines: nine fields or set aside. Bytes in, bytes out; values are judged at the load.

A kept line is its row number among the kept ones, a comma, and the line's own bytes: what `awk -F, 'NF==9'` and
`awk '{print NR "," $0}'` make of it. A quote is data; so are CR, NUL and bytes that are no UTF-8.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.progress import Progress, silent
from flows_platform.read_ahead import read_ahead
from flows_platform.sources.lanl_flows.schema import RAW_FIELDS
from flows_platform.stores.field_counts import LineBlock
from flows_platform.stores.files import atomic_paths
from flows_platform.stores.line_blocks import line_blocks

REJECTS_HEADER = b"line,reason,raw\r\n"


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What cleaning did: lines read = kept + rejected; sizes in bytes of the three files as they rest."""

    read: int
    kept: int
    rejected: int
    raw_bytes: int
    clean_bytes: int
    rejects_bytes: int


def clean(raw: Path, clean: Path, rejects: Path, *, progress: Progress = silent) -> CleanResult:
    """Write the kept lines of `raw` (plain or gzip) to `clean` and all others to `rejects`; progress in raw bytes.

    `rejects` is RFC 4180 CSV: line number in `raw`, reason, the line's bytes. Both files appear together or not at all.

    Raises:
        InputError: the raw file is missing, a damaged gzip, or no file of lines.
        StorageError: an output cannot be written.
        ConfigurationError: two of the three are the same file.
    """
    _require_distinct(raw, clean, rejects)
    with atomic_paths(clean, rejects) as (clean_part, rejects_part):
        with (
            clean_part.open("wb") as clean_file,
            rejects_part.open("wb") as rejects_file,
            closing(read_ahead(_parts(raw, progress), depth=2)) as parts,
        ):
            read, kept = _write(parts, clean_file, rejects_file)
        sizes = [path.stat().st_size for path in (raw, clean_part, rejects_part)]
    return CleanResult(read, kept, read - kept, *sizes)


def _require_distinct(*paths: Path) -> None:
    if len({path.resolve() for path in paths}) < len(paths):
        names = ", ".join(str(path) for path in paths)
        raise ConfigurationError(f"Raw file, clean file and rejects are three files; got {names}.")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one block of the raw file becomes."""

    read: int
    kept: int
    clean: list[memoryview]
    rejects: bytes


def _parts(raw: Path, progress: Progress) -> Iterator[_Part]:
    """The raw file's blocks, split; inflating runs ahead in a thread of its own."""
    read = kept = 0
    with closing(read_ahead(line_blocks(raw, progress))) as contents:
        for content in contents:
            block = LineBlock(content, fields=len(RAW_FIELDS))
            rejects = b"".join(reject_row(read + number, reason, line) for number, reason, line in block.rejects())
            yield _Part(block.lines, block.kept, list(block.numbered(first=kept + 1)), rejects)
            read += block.lines
            kept += block.kept


def reject_row(line_number: int, reason: str, line: bytes) -> bytes:
    """A rejected line as a row of RFC 4180, its bytes as they are."""
    return b'%d,"%s","%s"\r\n' % (line_number, reason.encode(), line.replace(b'"', b'""'))


def _write(parts: Iterator[_Part], clean_file: BinaryIO, rejects_file: BinaryIO) -> tuple[int, int]:
    """Lines read and kept."""
    rejects_file.write(REJECTS_HEADER)
    read = kept = 0
    for part in parts:
        clean_file.writelines(part.clean)
        rejects_file.write(part.rejects)
        read += part.read
        kept += part.kept
    return read, kept
