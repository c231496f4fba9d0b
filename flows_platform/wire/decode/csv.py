"""RFC 4180 with a header line to rows of texts. The format has no footer: only the header's count proves it whole."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice

from flows_platform.domain.errors import SourceRefused
from flows_platform.wire.casting import Records, Rows, Unreadable
from flows_platform.wire.decode.source import ByteSource, Readable

SLICE = 4096


class CsvDocument:
    """A header line with the columns' names, then a line a record."""

    declared = None

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def slices(self) -> Iterator[Rows | Records]:
        """Rows of at most 4,096 records.

        Raises:
            SourceRefused: not UTF-8, a broken quote, or no header.
        """
        text = io.TextIOWrapper(io.BufferedReader(Readable(self._source), 1 << 18), encoding="utf-8", newline="")
        lines = csv.reader(text, strict=True)
        try:
            header = tuple(next(lines, ()))
            if not header or len(set(header)) != len(header):
                raise SourceRefused(f"the CSV answer has no header of distinct names, but {','.join(header)[:200]!r}.")
            while part := list(islice(lines, SLICE)):
                yield _rows(header, part)
        except (csv.Error, UnicodeDecodeError) as error:
            raise SourceRefused(f"the answer is not valid CSV near line {lines.line_num} ({error}).") from error


def _rows(header: tuple[str, ...], part: list[list[str]]) -> Rows | Records:
    if all(len(row) == len(header) for row in part):
        return Rows(header, list(part))
    return [_record(header, row) for row in part]


def _record(header: tuple[str, ...], row: list[str]) -> dict[str, object] | Unreadable:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    return Unreadable(f"{len(row)} fields where the header has {len(header)}", json.dumps(row).encode())
