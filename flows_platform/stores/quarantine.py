"""Rejected records beside the file they are missing from: a JSON line each, with position, reason and raw text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flows_platform.domain.rejects import RejectedRecord


def quarantine_path(target: Path) -> Path:
    """Where the rejects of `target` go: `FILE.parquet` has `FILE.rejected.ndjson`."""
    return target.with_name(f"{target.stem}.rejected.ndjson")


@dataclass(slots=True)
class QuarantineSink:
    """Appends rejects to an open file and counts them; the first one is kept for messages."""

    file: IO[bytes]
    count: int = 0
    first: RejectedRecord | None = None

    def write(self, rejects: list[RejectedRecord]) -> None:
        for reject in rejects:
            self.first = self.first or reject
            self.count += 1
            line = {"position": reject.position, "reason": reject.reason, "raw": _as_text(reject.raw)}
            self.file.write(json.dumps(line).encode() + b"\n")


def _as_text(raw: bytes) -> str:
    """Bytes as text that gives them back: what is not UTF-8 becomes lone surrogates, which JSON escapes."""
    return raw.decode("utf-8", "surrogateescape")


def read_quarantine(path: Path) -> Iterator[RejectedRecord]:
    """The rejects in a quarantine file, raw bytes as they came; none where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            raw = entry["raw"].encode("utf-8", "surrogateescape")
            yield RejectedRecord(entry["position"], entry["reason"], raw)
