"""A line or record that the platform rejects: kept whole, with its position and the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A rejected record.

    `position` is the 1-based number of the line, or of the record in the stream. `reason` is a short text that names
    the column and the value. `raw` is the record as received: the bytes of the line, or its JSON. If `redacted`, a
    secret was masked in `raw`, which is then not what the source sent. `value` is that of `for_each` whose pull brought
    the record.
    """

    position: int
    reason: str
    raw: bytes
    redacted: bool = False
    value: str | None = None
