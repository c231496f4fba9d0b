"""A sample in CSV: its delimiter, its comments, the lines before its header, and names where it has no header."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from flows_platform.components.sample.answer import SampleAnswer

DELIMITERS = ",;\t|"
COMMENT = "#"
LOOKED_AT = 50  # lines
TSV = "text/tab-separated-values"
_VALUE = re.compile(r"-?[0-9]+(?:\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}.*")


@dataclass(frozen=True, slots=True)
class _Line:
    """The cells of a record, and how many lines of the file come before it."""

    cells: list[str]
    before: int


def read_tsv(body: bytes) -> SampleAnswer:
    """The answer in text/tab-separated-values."""
    return read_csv(body, types=[TSV])


def read_csv(body: bytes, types: Sequence[str] = ()) -> SampleAnswer:
    """The answer in CSV; `types` are content types that it may have beside the format's own.

    Raises:
        ValueError: it is not text.
        csv.Error: it is not CSV.
    """
    lines = list(io.StringIO(body.decode("utf-8-sig"), newline=""))
    plain = list(_without_comments(lines))
    comments = len(plain) < len(lines)
    delimiter = _delimiter(plain)
    records = list(_records(plain, delimiter))
    width, _ = Counter(len(line.cells) for line in records[:LOOKED_AT]).most_common(1)[0] if records else (0, 0)
    whole = [line for line in records if len(line.cells) == width]
    if not whole:
        return SampleAnswer("csv", [])
    first = whole[0]
    dialect: dict[str, object] = {"delimiter": delimiter} if delimiter != "," else {}
    dialect |= {"comment": COMMENT} if comments else {}
    skipped = first.before if not comments else 0
    notes, names = {}, first.cells
    if not _is_header(first.cells):
        names = _commented_names(lines, delimiter, width) or [f"column_{number}" for number in range(1, width + 1)]
        dialect["names"] = names
        notes["csv"] = "guess: the first line is a record, so that the columns get names here"
    else:
        whole = whole[1:]
    if skipped:
        dialect["skip"] = skipped
        notes["csv"] = f"guess: the first {skipped} lines are not records"
    keys: dict[str, object] = {"csv": dialect} if dialect else {}
    keys |= {"content_types": list(types)} if types else {}
    found = [dict(zip(names, line.cells, strict=True)) for line in whole]
    return SampleAnswer("csv", list(found), {}, keys, notes=notes)


def _without_comments(lines: Sequence[str]) -> Iterator[str]:
    """The lines that are not comments; inside a quoted cell, the sign of a comment is text."""
    quoted = False
    for line in lines:
        if quoted or not line.startswith(COMMENT):
            yield line
            quoted ^= line.count('"') % 2 == 1


def _delimiter(lines: Sequence[str]) -> str:
    """The sign that most lines have, and most often."""
    some = [line for line in lines[:LOOKED_AT] if line.strip()]
    return max(
        DELIMITERS, key=lambda sign: (sum(sign in line for line in some), sum(line.count(sign) for line in some))
    )


def _records(lines: Sequence[str], delimiter: str) -> Iterator[_Line]:
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    before = 0
    for cells in reader:
        if cells:
            yield _Line(cells, before)
        before = reader.line_num


def _is_header(cells: Sequence[str]) -> bool:
    return not any(map(_VALUE.fullmatch, cells))


def _commented_names(lines: Sequence[str], delimiter: str, width: int) -> list[str]:
    """The names in the last comment before the records, if they are there."""
    above = list(takewhile(lambda line: line.startswith(COMMENT), lines))
    cells = [cell.strip(' "') for cell in above[-1].lstrip(COMMENT).strip().split(delimiter)] if above else []
    return cells if len(set(cells)) == width and all(cells) and _is_header(cells) else []
