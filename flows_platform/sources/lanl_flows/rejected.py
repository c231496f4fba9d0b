"""All lines that did not become rows, from cleaning and from the load, in one CSV file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows_platform.flow_database.read import iter_rejected
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.sources.lanl_flows.cleaning import reject_row

HEADER = b"stage,line,reason,raw\r\n"


@dataclass(slots=True)
class RejectedCounts:
    """Rejected lines by the stage that found them."""

    at_cleaning: int = 0
    at_load: int = 0

    @property
    def total(self) -> int:
        return self.at_cleaning + self.at_load


def collect_rejected(rejects: Path, database: Path, out: Path) -> RejectedCounts:
    """Write `out` (RFC 4180: stage, line, reason, raw) from cleaning's rejects file and the database's rejects.

    A line's number counts lines of the raw file if cleaning rejected it, lines of the clean file if the load did. Raw
    bytes are kept as they were.
    """
    counts = RejectedCounts()
    with atomic_path(out) as temporary, temporary.open("wb") as to:
        to.write(HEADER)
        for row in _from_cleaning(rejects):
            to.write(b"clean," + row)
            counts.at_cleaning += 1
        for reject in iter_rejected(database):
            to.write(b"load," + reject_row(reject.position, reject.reason, reject.raw))
            counts.at_load += 1
    return counts


def _from_cleaning(rejects: Path) -> Iterator[bytes]:
    """The rows of cleaning's file, as they are; a raw line has no line feed, so a row is a line."""
    with rejects.open("rb") as rows:
        next(rows)  # the header
        yield from rows
