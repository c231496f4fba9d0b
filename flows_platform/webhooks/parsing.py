"""Parses a delivery into its records, each with its own bytes. All records are checked before any is stored."""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from threading import Lock
from traceback import clear_frames
from typing import Any, NamedTuple

from flows_platform.columns.cast_values import Misfit, cast_value, shown
from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.time_forms import PER_SECOND, TimeForm, instant_in
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.webhooks.declaration import CreatedAt, Webhook
from flows_platform.webhooks.delivery import Delivery

MOST_RECORDS = 1_000
DEEPEST = 64
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{3,199}")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)  # by which the time of a record may be later than that of its delivery
LONGEST_DELIVERY_ID = 200
GZIP_MAGIC = b"\x1f\x8b"
GZIP = 31  # zlib's window bits for the gzip format
# Digits beyond microseconds are dropped here; the record keeps them, and keys need only minutes.
_CREATED = Column("created_at", ColumnType.TIMESTAMP, "", nullable=False, truncates=True)
_SPACE = re.compile(r"[ \t\n\r]*")
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
# Also matches a string without its end, which would otherwise be searched again from each of its quotes. The
# possessive quantifiers avoid backtracking.
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_STRING = re.compile(_TEXT, re.DOTALL)
_BETWEEN_BRACKETS = re.compile(r"[^\[\]{}]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_STRING_OR_BRACKET = re.compile(rf"{_TEXT}|[\[\]{{}}]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_FIRST_LOW = 0xDC00
_PLAIN = json.JSONDecoder()
_PARSING = Lock()


class BadDelivery(Exception):
    """A delivery that is verified but not acceptable. The message says what is wrong, and at which position."""


class TooLarge(BadDelivery):
    """The decompressed body is larger than the limit."""


class UnknownCoding(BadDelivery):
    """The Content-Encoding is not supported."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a delivery.

    Args:
        id: The record's id, which can be used in keys of the archive.
        created_at: When it was created, in UTC.
        body: Its bytes, as they were in the delivery.
        sha256: The SHA-256 of these bytes, in hex.
    """

    id: str
    created_at: datetime
    body: bytes = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as text and as a value, and the delivery's id; None if it has none."""

    text: str = field(repr=False)
    value: dict[str, Any] = field(repr=False)
    delivery_id: str | None


@contextmanager
def one_body() -> Iterator[None]:
    """Parse a body while no other is parsed: its values take up to 40 times its size, and two at once are not faster.

    Raises:
        BadDelivery: that of the block, which then no longer holds the values.
    """
    # guard: one body is parsed at a time
    with _PARSING:
        try:
            yield
        except BadDelivery as error:
            clear_frames(error.__traceback__)
            raise


def size_of(webhook: Webhook, delivery: Delivery) -> int:
    """The bytes of a delivery's body once it is decompressed, as far as they are known before."""
    size = len(delivery.body)
    # gzip ends with the size of what it holds. A wrong one is refused when the body is decompressed.
    # guard: a body counts as what it is decompressed
    if delivery.body.startswith(GZIP_MAGIC):
        size = max(size, min(webhook.limit_bytes, int.from_bytes(delivery.body[-4:], "little")))
    return size


def parse(webhook: Webhook, delivery: Delivery) -> Parsed:
    """Parse a delivery.

    Raises:
        BadDelivery: its body is not a JSON object, or its id is missing.
    """
    text, value = json_object(_decompressed(delivery, webhook.limit_bytes))
    return Parsed(text, value, delivery.id or _delivery_id(webhook, delivery, value))


def json_object(body: bytes, deepest: int = DEEPEST) -> tuple[str, dict[str, Any]]:
    """The text and the value of a JSON object, which nests at most `deepest` levels.

    Raises:
        BadDelivery: the bytes are not a JSON object, or nest too deeply.
    """
    text = _text(body)
    _check_depth(text, deepest)
    _check_surrogates(text)
    return text, _value(text)


def records(webhook: Webhook, parsed: Parsed, received: datetime) -> list[Record]:
    """The records of a delivery, at least one. `parsed.value` is empty afterwards.

    Raises:
        BadDelivery: one of them is not acceptable.
    """
    return [_record(webhook, found, parsed.delivery_id, received) for found in _found(webhook.records, parsed)]


def record_in(webhook: Webhook, body: bytes, record_id: str, received: datetime) -> Record:
    """The record that the archive keeps under this id, from its bytes. They are read like those of a delivery.

    Raises:
        BadDelivery: no delivery of this webhook can have these bytes as a record.
    """
    text, value = json_object(body, DEEPEST - levels_around(webhook))
    return _record(webhook, _Found("the object", text, value), record_id, received)


def levels_around(webhook: Webhook) -> int:
    """How many levels of a delivery are around a record."""
    return len(webhook.records.names) + 1 if webhook.records else 0


def is_id(text: str) -> bool:
    """Whether a record can have that id: it fits the archive's layout."""
    return bool(ID.fullmatch(text)) and ".." not in text


def object_in(body: bytes) -> dict[str, Any]:
    """The value of a JSON object, by the rules for the body of a delivery.

    Raises:
        BadDelivery: the bytes are not a JSON object.
    """
    return json_object(body)[1]


def _decompressed(delivery: Delivery, limit: int) -> bytes:
    codings = [
        name.strip().lower() for text in delivery.headers.get("content-encoding", ()) for name in text.split(",")
    ]
    coded = [name for name in codings if name not in {"", "identity"}]
    if not coded:
        return delivery.body
    if coded != ["gzip"]:
        raise UnknownCoding(f"Content-Encoding is {', '.join(coded)[:60]!a}; allowed are identity and gzip.")
    inflate = zlib.decompressobj(GZIP)
    try:
        body = inflate.decompress(delivery.body, limit + 1)
    except zlib.error as error:
        raise BadDelivery("The body is not gzip, as Content-Encoding says.") from error
    # guard: a body is limited once it is decompressed
    if len(body) > limit:
        raise TooLarge(f"The body has more than {limit} bytes once it is decompressed.")
    if not inflate.eof or inflate.unused_data:
        raise BadDelivery("The body is not one whole gzip file.")
    return body


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadDelivery(f"The body is not UTF-8 at byte {error.start}.") from error


def _check_depth(text: str, deepest: int) -> None:
    if text.count("[") + text.count("{") <= deepest:
        return
    brackets = _BETWEEN_BRACKETS.sub("", _STRING.sub("", text))
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) <= deepest:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += _STEPS.get(match[0], 0)
        # guard: a body is not deep
        if depth > deepest:
            raise BadDelivery(f"The body nests deeper than {deepest} levels at character {match.start()}.")


def _check_surrogates(text: str) -> None:
    """Refuse lone surrogates, which are not characters: UTF-8 cannot encode them."""
    if not _SURROGATE.search(text):
        return
    high = -1  # where a low surrogate must follow
    for match in _ESCAPE.finditer(text):
        code = int(match[1], 16) if match[1] else 0
        if high >= 0 and not (match.start() == high and 0xDC00 <= code <= 0xDFFF):  # noqa: PLR2004
            raise _lone(high - 6)
        if high < 0 and 0xDC00 <= code <= 0xDFFF:  # noqa: PLR2004
            raise _lone(match.start())
        high = match.end() if 0xD800 <= code < _FIRST_LOW else -1  # noqa: PLR2004
    if high >= 0:
        raise _lone(high - 6)


def _lone(at: int) -> BadDelivery:
    return BadDelivery(f"Half of a surrogate pair is at character {at}.")


class _Faulty(ValueError):
    """JSON that its grammar or Python's decoder allows, but we do not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # guard: a key comes once
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _Faulty(f"The key {name[:60]!a} occurs twice in an object")
    return found


def _constant(name: str) -> object:
    raise _Faulty(f"{name} is not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _value(text: str) -> dict[str, Any]:
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise BadDelivery(f"The body is not JSON at character {error.pos}: {error.msg}.") from error
    except _Faulty as error:
        raise BadDelivery(f"{error}.") from error
    except ValueError as error:  # a number that is longer than Python converts
        raise BadDelivery("The body has a number of more than 4,300 digits.") from error
    if not isinstance(value, dict):
        raise BadDelivery("The body is not a JSON object.")
    return value


def _delivery_id(webhook: Webhook, delivery: Delivery, value: dict[str, Any]) -> str | None:
    declared = webhook.delivery
    headers = (declared.header,) if declared and declared.header else webhook.verify.id_headers
    path = declared.path if declared else webhook.verify.id_path
    found: object = next((text for name in headers if name and (text := delivery.header(name))), None)
    if path is not None:
        found = single(path.find(value))
    if found is None and declared is None:
        return None
    if not _is_plain(found) or not 0 < len(str(found)) <= LONGEST_DELIVERY_ID:
        where = (declared and declared.header) or path or "The header"
        shown_as = where.text if isinstance(where, RecordPath) else where
        raise BadDelivery(
            f"{shown_as}: the delivery's id is missing, or has more than {LONGEST_DELIVERY_ID} characters."
        )
    return str(found)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


class _Found(NamedTuple):
    """A record in a body: its name, such as `alerts[3]`, its text and its value."""

    name: str
    text: str
    value: object


def _found(path: RecordPath | None, parsed: Parsed) -> Iterator[_Found]:
    """The records of a body that is an object or has an array of them; the latter empties `parsed.value`."""
    if path is None:
        yield _Found("", parsed.text.strip(" \t\n\r"), parsed.value)
        return
    found: object = parsed.value
    for step in path.steps:
        found = found.get(step.name) if isinstance(found, dict) else None
    if not isinstance(found, list) or not found:
        raise BadDelivery(f"{path.text}: an array of at least one record is needed.")
    # guard: records of a delivery
    if len(found) > MOST_RECORDS:
        raise BadDelivery(f"{path.text} has {len(found):,} records; at most {MOST_RECORDS:,} are allowed.")
    del found
    # guard: one copy of a body's values is held
    parsed.value.clear()
    elements = _elements(parsed.text, _start_of(parsed.text, path.names))
    for number, (value, start, end) in enumerate(elements):
        yield _Found(f"{path.text}[{number}]", parsed.text[start:end], value)


def _start_of(text: str, names: tuple[str, ...]) -> int:
    """Where the value with this path of names starts, in a text that has it."""
    at = _after_space(text, 0)
    for name in names:
        at = next(start for found, start in _members(text, at) if found == name)
    return at


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """The names of an object's members, and where their values start."""
    at = _after_space(text, at + 1)
    while text[at] != "}":
        name, at = _PLAIN.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        yield name, start
        at = _after_comma(text, _PLAIN.raw_decode(text, start)[1])


def _elements(text: str, at: int) -> Iterator[tuple[object, int, int]]:
    """An array's elements, and where they start and end."""
    at = _after_space(text, at + 1)
    while text[at] != "]":
        value, end = _PLAIN.raw_decode(text, at)
        yield value, at, end
        at = _after_comma(text, end)


def _after_comma(text: str, at: int) -> int:
    at = _after_space(text, at)
    return _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _record(webhook: Webhook, found: _Found, delivery_id: str | None, received: datetime) -> Record:
    value = found.value
    if not isinstance(value, dict):
        raise BadDelivery(f"{found.name} is not an object.")
    given = single(webhook.id.find(value)) if webhook.id else delivery_id
    where = _named(found.name, webhook.id) if webhook.id else "the delivery's id"
    record_id = _id(given, where)
    created = _created(webhook.created_at, value, _named(found.name, webhook.created_at.path), received)
    body = found.text.encode()
    return Record(record_id, created, body, sha256(body).hexdigest())


def _named(name: str, path: RecordPath) -> str:
    return f"{name}.{path.text}" if name else path.text


def _id(found: object, where: str) -> str:
    if found is None or found == "":
        raise BadDelivery(f"{where} is missing.")
    text = str(found) if _is_plain(found) else ""
    # guard: an id stays in the layout
    if not is_id(text):
        raise BadDelivery(
            f"{where} is {shown(found)}: an id has 4 to 200 letters, digits and . _ : -, begins with a letter or a "
            "digit, and does not contain two dots in a row."
        )
    return text


def _created(declared: CreatedAt, record: dict[str, Any], where: str, received: datetime) -> datetime:
    found = single(declared.path.find(record))
    if found is None or found == "":
        raise BadDelivery(f"{where} is missing.")
    whole = declared.written in PER_SECOND and declared.written is not TimeForm.SECONDS
    # guard: a time of whole units
    if whole and not (_is_plain(found) and _DIGITS.fullmatch(str(found))):
        raise BadDelivery(f"{where} is {shown(found)}: a whole number of {declared.written} since 1970 is needed.")
    try:
        instant = cast_value(_CREATED, instant_in(declared.written, found, truncates=True))
    except Misfit as error:
        raise BadDelivery(f"{where}: {error}.") from error
    # guard: a time is near
    if not isinstance(instant, datetime) or not EARLIEST <= instant <= received + AHEAD:
        raise BadDelivery(f"{where} is {shown(found)}: a time from 2000 to a day after its delivery is needed.")
    return instant
