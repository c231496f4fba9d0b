"""The file of a window's rejected records: one JSON line a record, with its position, reason and raw text."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from flows_platform.domain.redaction import Redactor
from flows_platform.domain.rejects import RejectedRecord


def quarantine_path(target: Path) -> Path:
    """Path of the rejects of `target`: those of `FILE.parquet` are in `FILE.rejected.ndjson`."""
    return target.with_name(f"{target.stem}.rejected.ndjson")


@dataclass(slots=True)
class QuarantineSink:
    """Appends rejects to an open file with their secrets masked, and counts them; `first` is for messages."""

    file: IO[bytes]
    redact: Redactor = field(default_factory=Redactor)
    count: int = 0
    first: RejectedRecord | None = None
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, rejects: list[RejectedRecord]) -> None:
        """Append the rejects, in order."""
        self.count += len(rejects)
        if rejects and self.first is None:
            self.first = replace(rejects[0], reason=self.redact(rejects[0].reason))
        for line in map(self._line, rejects):
            self._digest.update(line)
            self.file.write(line)

    @property
    def sha256(self) -> str:
        """SHA-256 of the lines written so far, in hex."""
        return self._digest.hexdigest()

    def _line(self, reject: RejectedRecord) -> bytes:
        raw = _as_text(reject.raw)
        # guard: secrets are masked in quarantines
        masked = self.redact(raw)
        entry = {"position": reject.position, "reason": self.redact(reject.reason), "raw": masked}
        if reject.redacted or masked != raw:
            entry["redacted"] = True
        if reject.value is not None:
            entry["value"] = reject.value
        return json.dumps(entry).encode() + b"\n"


def _as_text(raw: bytes) -> str:
    """Bytes as text, reversibly: bytes that are not UTF-8 become lone surrogates, which JSON escapes."""
    return raw.decode("utf-8", "surrogateescape")


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def read_quarantine(path: Path) -> Iterator[RejectedRecord]:
    """The rejects in a quarantine file, with their raw bytes as received; nothing if there is no file."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            raw = _as_bytes(entry["raw"])
            redacted, value = entry.get("redacted", False), entry.get("value")
            yield RejectedRecord(entry["position"], entry["reason"], raw, redacted, value)
