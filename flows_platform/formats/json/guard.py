r"""What must not reach ijson: numbers that crash it, nesting that it pays for in squares, text and keys it would lose.

yajl2_c segfaults on an integer of 4,301 digits, keeps a path per level of nesting (78 KB of `[` took 3.8 GB), turns
half a surrogate pair (a lone `\ud800`) into `?`, takes form feeds and vertical tabs for white space, and of a key that
repeats keeps the last. All of it is looked for in
the bytes, outside strings, at about a tenth of ijson's own time: half of that is one `bytes.translate`.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flows_platform.domain.errors import MalformedDocument, SourceRefused
from flows_platform.formats.protocol.characters import BYTE_ORDER_MARK

MAX_DEPTH = 128  # levels; quarantine and casting recurse
MAX_DIGITS = 4096  # in one number; ijson dies at 4,301
MAX_CONTAINERS = 200_000  # objects and arrays in one slice: 64 bytes each from three of input
STRIDE = 256  # of the look for digits: a run of 4,096 meets 16 samples in a row
DIGITS = b"0123456789"
SHOWN = 20  # bytes before a character that does not belong there
QUOTE = ord('"')
NO_BLANKS = {b"\x0b": "vertical tab", b"\x0c": "form feed"}  # in no JSON: neither white space nor part of a string

_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'[]{}:"'))
_STEPS = np.zeros(256, np.int8)  # what a mark adds to the depth
_STEPS[list(b"{[")], _STEPS[list(b"}]")] = 1, -1
_DIGIT_SAMPLES = bytes(1 if byte in DIGITS else 0 for byte in range(256))
_SUSPECT = b"\1" * (MAX_DIGITS // STRIDE)
_NUMBER = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_UNIT = re.compile(rb"\\u([dD][89a-fA-F][0-9a-fA-F]{2})")
_HIGH = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_ESCAPE = 6  # bytes of \uXXXX


type Marks = npt.NDArray[np.uint8]
type Depths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Look:
    """A piece's brackets, colons and quotes, and which of these are marks, with the depth after each.

    A mark is no quote and lies outside strings.
    """

    octets: Marks
    places: Depths
    marks: Marks
    depths: Depths


NOTHING = Look(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))


class JsonGuard:
    """Admits the pieces of one document in order. Every piece it gives on ends outside an escape."""

    def __init__(self) -> None:
        self.surrogates = Surrogates()
        self._held = b""
        self._begun = False
        self._in_string = False
        self._depth = 0
        self._containers = 0
        self._digits = b""
        self._closes = False
        self.look = NOTHING  # at the piece admitted last

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        """For who wants to follow: a piece's brackets and colons outside strings, and the depth after each."""

    def admit(self, chunk: bytes) -> bytes:
        """The piece, checked.

        Raises:
            SourceRefused: a number, the nesting or the number of containers passes its limit, or a control character
                stands there that ijson would take for white space.
        """
        chunk = self._held + chunk
        if not self._begun:
            if len(chunk) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(chunk):
                self._held = chunk
                return b""
            self._begun, chunk = True, chunk.removeprefix(BYTE_ORDER_MARK)
        for blank, name in NO_BLANKS.items():
            # guard: a form feed is not white space
            if blank in chunk:
                before = chunk[: chunk.index(blank)][-SHOWN:].decode("utf-8", "replace")
                raise MalformedDocument(
                    f"the answer is not valid JSON: a {name} (U+{ord(blank):04X}) stands in it behind {before!r}.",
                    remedy="Have the API leave it out; inside a text `invalid_characters: replace` makes U+FFFD of it.",
                )
        cut = _safe_cut(chunk)
        chunk, self._held = chunk[:cut], chunk[cut:]
        self._closes = chunk.endswith(b"}")
        if b"\\" not in chunk:
            self._check(chunk)
            return chunk
        plain = chunk.replace(b"\\\\", b"")  # from the left, so what is left of a run starts an escape
        self._check(plain.replace(b'\\"', b""))
        # guard: half surrogate pairs
        return self.surrogates.mark(chunk) if b"\\ud" in plain or b"\\uD" in plain else chunk

    def finish(self) -> bytes:
        """What was held back: the document ends inside an escape, or on one that may be half a pair."""
        rest, self._held = self._held, b""
        return self.surrogates.mark(rest)

    def release(self) -> None:
        self._containers = 0

    def ends_at(self, depth: int) -> bool:
        """Whether the last piece ends with an object's end, outside strings, at this depth."""
        return self._closes and self._depth == depth and not self._in_string and not self._held

    def places(self, piece: bytes, *marks: int) -> list[int]:
        """Where in the piece admitted last these of its marks stand, all of one kind."""
        byte = self.look.marks[marks[0]]
        seen = self.look.octets == byte  # in strings too, in the order of the piece
        there = np.flatnonzero(np.frombuffer(piece, np.uint8) == byte)
        return [int(there[np.count_nonzero(seen[: self.look.places[mark]])]) for mark in marks]

    def _check(self, plain: bytes) -> None:
        """`plain` holds no escaped quote: every quote in it opens or closes a string."""
        # guard: digits before ijson
        self._check_digits(plain)
        octets = np.frombuffer(plain.translate(None, _ALL_BUT_MARKS), np.uint8)
        others = np.flatnonzero(octets != QUOTE)
        # Between two of the others there are only quotes: their number before each tells whether it is in a string.
        outside = ((others - np.arange(len(others)) + self._in_string) & 1) == 0
        self._in_string = (self._in_string + len(octets) - len(others)) % 2 == 1
        self.look = NOTHING
        if len(others):
            places = others if outside.all() else others[outside]
            marks = octets[places]
            self.look = Look(octets, places, marks, self._check_marks(marks))

    def _check_digits(self, plain: bytes) -> None:
        """A run may lie across pieces: the digits at the end of the last one stand before this one."""
        text = self._digits + plain
        tail = text[-MAX_DIGITS - 1 :]
        self._digits = tail[len(tail.rstrip(DIGITS)) :]
        samples = text[::STRIDE].translate(_DIGIT_SAMPLES)
        if _SUSPECT in samples and _NUMBER.search(self._outside_strings(text)):
            raise SourceRefused(f"a number of more than {MAX_DIGITS:,} digits stands in the JSON document.")

    def _outside_strings(self, text: bytes) -> bytes:
        return b'""'.join((b'"' * self._in_string + text).split(b'"')[::2])

    def _check_marks(self, marks: Marks) -> Depths:
        """Brackets and colons, in order; gives the depth after each."""
        steps = _STEPS[marks]
        depths = self._depth + np.cumsum(steps, dtype=np.int64)
        self._containers += int(np.count_nonzero(steps == 1))
        self._depth = int(depths[-1]) if len(depths) else self._depth
        # guard: containers before ijson
        if self._containers > MAX_CONTAINERS:
            raise SourceRefused(f"more than {MAX_CONTAINERS:,} JSON objects and arrays stand in one record.")
        # guard: nesting before ijson
        if len(depths) and int(depths.max()) > MAX_DEPTH:
            raise SourceRefused(f"the JSON document nests deeper than {MAX_DEPTH} levels.")
        self.on_marks(marks, depths)
        return depths


def _safe_cut(chunk: bytes) -> int:
    """Where the piece may end: before an escape that is cut, or that may be the first half of a pair that is."""
    last = chunk.rfind(b"\\", -2 * _ESCAPE)
    if last < 0 or not _starts_escape(chunk, last):
        return len(chunk)
    whole = len(chunk) - last >= _ESCAPE or chunk[last + 1 : last + 2] not in {b"", b"u"}
    if whole:
        return last if _HIGH.fullmatch(chunk, last) else len(chunk)
    first = last - _ESCAPE
    half = first >= 0 and _HIGH.fullmatch(chunk, first, last) and _starts_escape(chunk, first)
    return first if half else last


def _starts_escape(chunk: bytes, place: int) -> bool:
    """Whether the backslash at `place` is not itself escaped: the run that it ends is odd."""
    return (place + 1 - len(chunk[: place + 1].rstrip(b"\\"))) % 2 == 1


class Surrogates:
    """Carries halves of surrogate pairs through ijson: as a mark that nobody can foresee, undone in the records."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._marked = re.compile(self._mark + "([0-9a-fA-F]{4})")
        self.seen = False

    def mark(self, chunk: bytes) -> bytes:
        """The piece with each lone half written as the mark and its four digits."""
        parts = re.split(rb"(\\\\)", chunk)  # doubled backslashes are text: what lies between them is looked at
        marked = b"".join(part if part == b"\\\\" else self._mark_lone(part) for part in parts)
        self.seen = self.seen or marked != chunk
        return marked

    def _mark_lone(self, text: bytes) -> bytes:
        pieces, end = [], 0
        for pair in _PAIR.finditer(text):
            pieces += [self._replaced(text[end : pair.start()]), pair[0]]
            end = pair.end()
        return b"".join([*pieces, self._replaced(text[end:])])

    def _replaced(self, text: bytes) -> bytes:
        return _UNIT.sub(self._mark.encode() + rb"\1", text)

    def restore(self, value: object) -> object:
        """A decoded value with the halves back in place: Python's text can hold them, so casting sees and rejects."""
        if isinstance(value, str):
            return self._marked.sub(lambda match: chr(int(match[1], 16)), value)
        if isinstance(value, Mapping):
            return {self.restore(key): self.restore(each) for key, each in value.items()}
        return [self.restore(each) for each in value] if isinstance(value, list) else value
