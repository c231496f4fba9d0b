r"""Keeps from ijson what harms it: numbers that crash it, nesting of quadratic cost, texts and keys that it would lose.

yajl2_c segfaults on an integer of 4,301 digits. It keeps a path per level of nesting (78 KB of `[` took 3.8 GB), turns
half a surrogate pair (a lone `\ud800`) into `?`, accepts form feeds and vertical tabs as white space, and keeps only
the last of repeated keys. The guard looks for all of this in the bytes outside strings. It takes about a tenth of
ijson's own time, and half of that is one `bytes.translate`.
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
MAX_DIGITS = 4096  # digits of a number; ijson crashes at 4,301
MAX_CONTAINERS = 200_000  # objects and arrays in one slice: three bytes of input become an object of 64 bytes
STRIDE = 256  # bytes between two samples in the search for digits: a run of 4,096 digits covers 16 samples
DIGITS = b"0123456789"
SHOWN = 20  # bytes before an invalid character that a message shows
QUOTE = ord('"')
NO_BLANKS = {b"\x0b": "vertical tab", b"\x0c": "form feed"}  # invalid anywhere in JSON, also inside strings

_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'[]{}:"'))
_STEPS = np.zeros(256, np.int8)  # the change of depth at a mark
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
    """The structure of a piece.

    `octets` are its brackets, colons and quotes. The `marks` are the brackets and colons outside strings, `positions`
    their indexes in `octets`, and `depths` the depth after every mark.
    """

    octets: Marks
    positions: Depths
    marks: Marks
    depths: Depths


NOTHING = Look(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))


class JsonGuard:
    """Checks the pieces of one document in order. A piece that it passes on never ends inside an escape."""

    def __init__(self) -> None:
        self.surrogates = Surrogates()
        self._held = b""
        self._begun = False
        self._in_string = False
        self._depth = 0
        self._containers = 0
        self._digits = b""
        self._closes = False
        self.look = NOTHING  # the structure of the last piece

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        """Hook for subclasses: a piece's brackets and colons outside strings, and the depths after them."""

    def admit(self, chunk: bytes) -> bytes:
        """Check a piece, and return it up to the last complete escape.

        Raises:
            SourceRefused: a number, the nesting or the number of containers exceeds its limit.
            MalformedDocument: there is a control character that ijson would accept as white space.
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
                    f"the answer is not valid JSON: it contains a {name} (U+{ord(blank):04X}) after {before!r}.",
                    remedy="Have the API leave it out; inside texts, `invalid_characters: replace` makes it U+FFFD.",
                )
        cut = _safe_cut(chunk)
        chunk, self._held = chunk[:cut], chunk[cut:]
        self._closes = chunk.endswith(b"}")
        if b"\\" not in chunk:
            self._check(chunk)
            return chunk
        plain = chunk.replace(b"\\\\", b"")  # pairs go from the left, so a backslash that remains starts an escape
        self._check(plain.replace(b'\\"', b""))
        # guard: half surrogate pairs
        return self.surrogates.mark(chunk) if b"\\ud" in plain or b"\\uD" in plain else chunk

    def finish(self) -> bytes:
        """The bytes held back: the document ends inside an escape, or with one that may be half a surrogate pair."""
        rest, self._held = self._held, b""
        return self.surrogates.mark(rest)

    def release(self) -> None:
        self._containers = 0

    def ends_at(self, depth: int) -> bool:
        """Whether the last piece ends with the end of an object, at this depth."""
        return self._closes and self._depth == depth and not self._in_string and not self._held

    def positions(self, piece: bytes, *marks: int) -> list[int]:
        """The positions in the last piece of the marks with these indexes; all of them must be the same character."""
        byte = self.look.marks[marks[0]]
        seen = self.look.octets == byte  # in strings too, in the order of the piece
        found = np.flatnonzero(np.frombuffer(piece, np.uint8) == byte)
        return [int(found[np.count_nonzero(seen[: self.look.positions[mark]])]) for mark in marks]

    def _check(self, plain: bytes) -> None:
        """Check a piece without escaped quotes, in which every quote opens or closes a string."""
        # guard: digits before ijson
        self._check_digits(plain)
        octets = np.frombuffer(plain.translate(None, _ALL_BUT_MARKS), np.uint8)
        others = np.flatnonzero(octets != QUOTE)
        # All bytes between two of the others are quotes: an odd number of quotes before one puts it inside a string.
        outside = ((others - np.arange(len(others)) + self._in_string) & 1) == 0
        self._in_string = (self._in_string + len(octets) - len(others)) % 2 == 1
        self.look = NOTHING
        if len(others):
            positions = others if outside.all() else others[outside]
            marks = octets[positions]
            self.look = Look(octets, positions, marks, self._check_marks(marks))

    def _check_digits(self, plain: bytes) -> None:
        """Refuse a long run of digits. It may span pieces, so the last piece's final digits go before this piece."""
        text = self._digits + plain
        tail = text[-MAX_DIGITS - 1 :]
        self._digits = tail[len(tail.rstrip(DIGITS)) :]
        samples = text[::STRIDE].translate(_DIGIT_SAMPLES)
        if _SUSPECT in samples and _NUMBER.search(self._outside_strings(text)):
            raise SourceRefused(f"the JSON document contains a number of more than {MAX_DIGITS:,} digits.")

    def _outside_strings(self, text: bytes) -> bytes:
        return b'""'.join((b'"' * self._in_string + text).split(b'"')[::2])

    def _check_marks(self, marks: Marks) -> Depths:
        """The depths after these marks, once they are within the limits."""
        steps = _STEPS[marks]
        depths = self._depth + np.cumsum(steps, dtype=np.int64)
        self._containers += int(np.count_nonzero(steps == 1))
        self._depth = int(depths[-1]) if len(depths) else self._depth
        # guard: containers before ijson
        if self._containers > MAX_CONTAINERS:
            raise SourceRefused(f"a record contains more than {MAX_CONTAINERS:,} JSON objects and arrays.")
        # guard: nesting before ijson
        if len(depths) and int(depths.max()) > MAX_DEPTH:
            raise SourceRefused(f"the JSON document is nested deeper than {MAX_DEPTH} levels.")
        self.on_marks(marks, depths)
        return depths


def _safe_cut(chunk: bytes) -> int:
    """Where the piece may end: before an escape that is cut, or that may be the first half of a cut surrogate pair."""
    last = chunk.rfind(b"\\", -2 * _ESCAPE)
    if last < 0 or not _starts_escape(chunk, last):
        return len(chunk)
    whole = len(chunk) - last >= _ESCAPE or chunk[last + 1 : last + 2] not in {b"", b"u"}
    if whole:
        return last if _HIGH.fullmatch(chunk, last) else len(chunk)
    first = last - _ESCAPE
    half = first >= 0 and _HIGH.fullmatch(chunk, first, last) and _starts_escape(chunk, first)
    return first if half else last


def _starts_escape(chunk: bytes, position: int) -> bool:
    """Whether the backslash at `position` is not itself escaped: it ends a run of an odd number of backslashes."""
    return (position + 1 - len(chunk[: position + 1].rstrip(b"\\"))) % 2 == 1


class Surrogates:
    """Carries halves of surrogate pairs through ijson as an unpredictable mark, which `restore` replaces in records."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._marked = re.compile(self._mark + "([0-9a-fA-F]{4})")
        self.seen = False

    def mark(self, chunk: bytes) -> bytes:
        """The piece with the mark and four digits in place of every lone half."""
        pieces = re.split(rb"(\\\\)", chunk)  # a doubled backslash is text, so only the text between them is searched
        marked = b"".join(piece if piece == b"\\\\" else self._mark_lone(piece) for piece in pieces)
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
        """A decoded value with its halves restored. A Python text can hold them, so casting sees and rejects them."""
        if isinstance(value, str):
            return self._marked.sub(lambda match: chr(int(match[1], 16)), value)
        if isinstance(value, Mapping):
            return {self.restore(key): self.restore(member) for key, member in value.items()}
        if isinstance(value, tuple):  # a member's name and value
            return tuple(map(self.restore, value))
        return [self.restore(element) for element in value] if isinstance(value, list) else value
