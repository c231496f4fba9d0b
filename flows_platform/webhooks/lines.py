"""A record of the archive as a line of JSON: what readers of a window get."""

import json
from datetime import datetime

RECORD_ID, DETAIL_STATE, DETAIL_AT = "record_id", "detail_state", "detail_at"
WEBHOOK, DETAIL = "webhook", "detail"
OWN = (RECORD_ID, DETAIL_STATE, DETAIL_AT)  # members that the archive adds
_ON_ONE_LINE = bytes.maketrans(b"\n\r", b"  ")  # JSON escapes line ends in its texts: these are between tokens


def line(
    record_id: str,
    webhook: bytes,
    detail: bytes | None = None,
    state: str | None = None,
    detail_at: datetime | None = None,
) -> bytes:
    """The record with its detail, both by their own bytes, and the state of the detail; without a line end.

    Args:
        record_id: The record's id.
        webhook: Its bytes.
        detail: Those of its detail; None where the archive has none.
        state: Of the detail: present, pending, absent or given_up; None where the source has no details.
        detail_at: When the detail came; None where the archive has none.
    """
    members = [f'"{RECORD_ID}":{json.dumps(record_id)}'.encode()]
    members += [f'"{DETAIL_STATE}":"{state}"'.encode()] if state else []
    members += [f'"{DETAIL_AT}":"{detail_at.isoformat()}"'.encode()] if detail_at else []
    members += [f'"{WEBHOOK}":'.encode() + webhook]
    members += [f'"{DETAIL}":'.encode() + detail] if detail is not None else []
    return b"{" + b",".join(members).translate(_ON_ONE_LINE) + b"}"
