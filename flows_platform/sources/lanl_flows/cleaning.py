"""Raw lines to clean lines: those with nine fields are kept, others rejected. Only bytes; the load checks values.

A kept line becomes its row number among the kept ones, a comma, and its own bytes, as `awk -F, 'NF==9'` and
`awk '{print NR "," $0}'` write it. Quotes are data, and so are CR, NUL and bytes that are not UTF-8. A byte order mark
at the start of the file is dropped, and a header line there is rejected as such; the result reports both.
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
    """What cleaning did: lines read = kept + rejected; sizes in bytes of the three files on disk.

    `byte_order_mark` and `header` say whether the raw file began with one; a header line is one of the rejected.
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
    With `rules`, neither is replaced if the result looks like that of a wrong file.

    Raises:
        InputError: the raw file is missing, damaged or not a file of lines, or `rules` refuse the result.
        StorageError: an output cannot be written.
        ConfigurationError: two of the three are the same file.
    """
    _require_distinct(raw, clean, rejects)
    with atomic_paths(clean, rejects) as (clean_draft, rejects_draft):
        with (
            clean_draft.open("wb") as clean_file,
            rejects_draft.open("wb") as rejects_file,
            closing(read_ahead(_cleaned_blocks(raw, progress), depth=2)) as blocks,
        ):
            total = _write(blocks, clean_file, rejects_file)
        if rules:
            # guard: wrong raw files replace nothing
            require_replaceable(_counted(total, raw, clean), rules)
        raw_bytes, clean_bytes, rejects_bytes = (path.stat().st_size for path in (raw, clean_draft, rejects_draft))
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
    """The number of rows of an earlier clean file, which its last line begins with; None if there is no such file."""
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
        raise ConfigurationError(f"Raw file, clean file and rejects must be three files; got {names}.")


@dataclass(frozen=True, slots=True)
class _CleanedBlock:
    """What one block of the raw file becomes."""

    read: int
    kept: int
    clean: list[memoryview]
    rejects: bytes
    first_reject: str | None
    opening: "_Opening"


@dataclass(frozen=True, slots=True)
class _Opening:
    """Bytes at the start of the raw file that are not data."""

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


def _cleaned_blocks(raw: Path, progress: Progress) -> Iterator[_CleanedBlock]:
    """The raw file's blocks, cleaned; a thread of its own inflates ahead."""
    read = kept = 0
    with closing(read_ahead(line_blocks(raw, progress))) as contents:
        for content in contents:
            block = _cleaned(content, read, kept)
            yield block
            read += block.read
            kept += block.kept


def _cleaned(content: bytes, read: int, kept: int) -> _CleanedBlock:
    """The cleaned block, after `read` lines of which `kept` were kept."""
    opening = _NOTHING if read else _Opening.of(content)
    header = [] if opening.header is None else [(1, HEADER_REASON, opening.header)]
    rest = content[opening.size :]
    if not rest:
        return _CleanedBlock(len(header), 0, [], _rows(header), _described(header), opening)
    block, before = LineBlock(rest, fields=len(RAW_FIELDS)), read + len(header)
    rejects = [(before + number, reason, line) for number, reason, line in block.rejects()]
    clean, described = list(block.numbered(first=kept + 1)), _described(rejects or header)
    return _CleanedBlock(len(header) + block.lines, block.kept, clean, _rows(header + rejects), described, opening)


def _rows(rejects: list[_Reject]) -> bytes:
    return b"".join(reject_row(*reject) for reject in rejects)


def _described(rejects: list[_Reject]) -> str | None:
    return described_reject(*rejects[0]) if rejects else None


def reject_row(line_number: int, reason: str, line: bytes) -> bytes:
    """A rejected line as a row of RFC 4180, its bytes as they are."""
    return b'%d,"%s","%s"\r\n' % (line_number, reason.encode(), line.replace(b'"', b'""'))


@dataclass(slots=True)
class _Total:
    """The sums over all blocks."""

    read: int = 0
    kept: int = 0
    byte_order_mark: bool = False
    header: bool = False
    first_reject: str | None = None

    def add(self, block: _CleanedBlock) -> None:
        self.read += block.read
        self.kept += block.kept
        self.byte_order_mark |= block.opening.byte_order_mark
        self.header |= block.opening.header is not None
        self.first_reject = self.first_reject or block.first_reject


def _write(blocks: Iterator[_CleanedBlock], clean_file: BinaryIO, rejects_file: BinaryIO) -> _Total:
    rejects_file.write(REJECTS_HEADER)
    total = _Total()
    for block in blocks:
        clean_file.writelines(block.clean)
        rejects_file.write(block.rejects)
        total.add(block)
    return total
