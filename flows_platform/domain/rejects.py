"""What becomes of a line or a record that cannot be taken: kept whole, with its place and the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record set aside.

    `position` is its 1-based place in what was read (a line number, or the record's number in the stream), `reason` a
    short text that names the column and value, and `raw` the record as received (bytes of the line, or its JSON).
    `redacted` says that a secret was masked in it: it is not what the source sent any more.
    """

    position: int
    reason: str
    raw: bytes
    redacted: bool = False
