"""Raw lines to clean lines: nine fields or set aside. Bytes in, bytes out; values are judged at the load.

A kept line is its row number among the kept ones, a comma, and the line's own bytes: what `awk -F, 'NF==9'` and
`awk '{print NR "," $0}'` make of it. A quote is data; so are CR, NUL and bytes that are no UTF-8. What may begin a file
and is not data is left out and reported: a byte order mark is dropped, a header line is rejected by that name.
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.progress import Progress, silent
from flows_platform.flow_database.comma_counts import BYTE_ORDER_MARK, HEADER_REASON, LineBlock, is_header
from flows_platform.flow_database.line_blocks import line_blocks
from flows_platform.flow_database.replacement import Counted, ReplacementRules, described_reject, require_replaceable
from flows_platform.runtime.atomic_files import atomic_paths
from flows_platform.runtime.read_ahead import read_ahead
from flows_platform.sources.lanl_flows.schema import RAW_FIELDS

type _Reject = tuple[int, str, bytes]  # line number, reason, line

REJECTS_HEADER = b"line,reason,raw\r\n"
_LAST_LINE = re.compile(rb"(?:^|\n)([0-9]{1,18}),[^\n]*\n?$")
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What cleaning did: lines read = kept + rejected; sizes in bytes of the three files as they rest.

    `byte_order_mark` and `header` say what began the raw file and is not data; a header line is one of the rejected.
    """

    read: int
    kept: int
    rejected: int
    raw_bytes: int
    clean_bytes: int
    rejects_bytes: int
    byte_order_mark: bool = False
    header: bool = False


def clean(
    raw: Path, clean: Path, rejects: Path, *, rules: ReplacementRules | None = None, progress: Progress = silent
) -> CleanResult:
    """Write the kept lines of `raw` (plain or packed) to `clean` and all others to `rejects`; progress in raw bytes.

    `rejects` is RFC 4180 CSV: line number in `raw`, reason, the line's bytes. Both files appear together or not at all.
    With `rules`, neither takes its place where the outcome looks like that of a wrong file.

    Raises:
        InputError: the raw file is missing, damaged, no file of lines, or `rules` refuse what it gives.
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
            total = _write(parts, clean_file, rejects_file)
        if rules:
            # guard: wrong raw files replace nothing
            require_replaceable(_counted(total, raw, clean), rules)
        raw_bytes, clean_bytes, rejects_bytes = (path.stat().st_size for path in (raw, clean_part, rejects_part))
    return CleanResult(
        total.read,
        total.kept,
        total.read - total.kept,
        raw_bytes,
        clean_bytes,
        rejects_bytes,
        byte_order_mark=total.byte_order_mark,
        header=total.header,
    )


def _counted(total: "_Total", raw: Path, clean: Path) -> Counted:
    rejected = total.read - total.kept
    return Counted(raw, clean, total.kept, rejected, int(total.header), _rows_of(clean), total.first_reject)


def _rows_of(clean: Path) -> int | None:
    """The rows of an earlier clean file, which its last line has as its number; None where there is none."""
    try:
        with clean.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            last = _LAST_LINE.search(file.read())
    except OSError:
        return None
    return int(last[1]) if last else None


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
    first_reject: str | None
    opening: "_Opening"


@dataclass(frozen=True, slots=True)
class _Opening:
    """What begins the raw file and is not data."""

    byte_order_mark: bool = False
    header: bytes | None = None

    @classmethod
    def of(cls, content: bytes) -> "_Opening":
        """The opening of the file's first block."""
        marked = content.startswith(BYTE_ORDER_MARK)
        line = content[len(BYTE_ORDER_MARK) * marked :].partition(b"\n")[0]
        return cls(marked, line if is_header(line) else None)

    @property
    def size(self) -> int:
        """Its bytes, the header's newline included."""
        return len(BYTE_ORDER_MARK) * self.byte_order_mark + (0 if self.header is None else len(self.header) + 1)


_NOTHING = _Opening()


def _parts(raw: Path, progress: Progress) -> Iterator[_Part]:
    """The raw file's blocks, split; inflating runs ahead in a thread of its own."""
    read = kept = 0
    with closing(read_ahead(line_blocks(raw, progress))) as contents:
        for content in contents:
            part = _part(content, read, kept)
            yield part
            read += part.read
            kept += part.kept


def _part(content: bytes, read: int, kept: int) -> _Part:
    """A block, after so many lines read and kept."""
    opening = _NOTHING if read else _Opening.of(content)
    header = [] if opening.header is None else [(1, HEADER_REASON, opening.header)]
    rest = content[opening.size :]
    if not rest:
        return _Part(len(header), 0, [], _rows(header), _described(header), opening)
    block, before = LineBlock(rest, fields=len(RAW_FIELDS)), read + len(header)
    rejects = [(before + number, reason, line) for number, reason, line in block.rejects()]
    clean, described = list(block.numbered(first=kept + 1)), _described(rejects or header)
    return _Part(len(header) + block.lines, block.kept, clean, _rows(header + rejects), described, opening)


def _rows(rejects: list[_Reject]) -> bytes:
    return b"".join(reject_row(*reject) for reject in rejects)


def _described(rejects: list[_Reject]) -> str | None:
    return described_reject(*rejects[0]) if rejects else None


def reject_row(line_number: int, reason: str, line: bytes) -> bytes:
    """A rejected line as a row of RFC 4180, its bytes as they are."""
    return b'%d,"%s","%s"\r\n' % (line_number, reason.encode(), line.replace(b'"', b'""'))


@dataclass(slots=True)
class _Total:
    """What all parts together are."""

    read: int = 0
    kept: int = 0
    byte_order_mark: bool = False
    header: bool = False
    first_reject: str | None = None

    def add(self, part: _Part) -> None:
        self.read += part.read
        self.kept += part.kept
        self.byte_order_mark |= part.opening.byte_order_mark
        self.header |= part.opening.header is not None
        self.first_reject = self.first_reject or part.first_reject


def _write(parts: Iterator[_Part], clean_file: BinaryIO, rejects_file: BinaryIO) -> _Total:
    rejects_file.write(REJECTS_HEADER)
    total = _Total()
    for part in parts:
        clean_file.writelines(part.clean)
        rejects_file.write(part.rejects)
        total.add(part)
    return total
