"""Reads a record from one line of JSON, as the quarantine stores it and NDJSON sends it."""

import json
from decimal import Decimal, InvalidOperation

from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.json.guard import MAX_DEPTH, JsonGuard


def read_record(line: bytes) -> dict[str, object] | Unreadable:
    """The JSON object on a line; numbers with a decimal point or an exponent become decimals."""
    value = read_value(line)
    return value if isinstance(value, dict | Unreadable) else Unreadable("not a JSON object", line)


def read_value(line: bytes) -> object:
    """The JSON value on a line, as `read_record`; unreadable if there is none."""
    try:
        if line.count(b"{") + line.count(b"[") > MAX_DEPTH:
            JsonGuard().admit(line)
        # Decoded here: given bytes, json.loads would also try UTF-16 and UTF-32.
        value: object = json.loads(
            line.decode(), parse_float=_decimal, parse_constant=_refuse, object_pairs_hook=_distinct
        )
    except (ValueError, SourceRefused) as error:
        return Unreadable(f"not a JSON object: {error}", line)
    return value


def _decimal(number: str) -> Decimal:
    try:
        return Decimal(number)
    except InvalidOperation:
        raise ValueError(f"{number[:80]} has an exponent beyond 10^18") from None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON value")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key is repeated")
    return record
