"""Finds the container of the records in a JSON document, and keeps the envelope around it.

By itself, ijson finds zero records in `{"error": …}`. The records' parser gets the container alone, and the envelope's
parser an empty container in its stead.
"""

from collections.abc import Callable, Mapping

import ijson
import numpy as np

from flows_platform.formats.json.guard import Depths, JsonGuard, Marks
from flows_platform.formats.json.keys import OPENING, SentKeys, require_all
from flows_platform.formats.json.steps import Steps
from flows_platform.formats.protocol.envelope import Event, JsonEnvelope

ARRAY, OBJECT = "start_array", "start_map"
ENDS = {"end_array", "end_map"}


class _Walk:
    """The steps to the values of a document, as events begin them."""

    def __init__(self) -> None:
        self.steps: Steps = []

    def begins(self, event: str, value: object) -> bool:
        """Whether the event begins a value, to which the steps now lead; then call `enter`."""
        if event in ENDS:
            self.steps.pop()
        elif event == "map_key":
            self.steps[-1] = str(value)
        else:
            if self.steps and isinstance(index := self.steps[-1], int):
                self.steps[-1] = index + 1
            return True
        return False

    def enter(self, event: str) -> bool:
        """Go into the value that begins; returns whether it is an object or an array."""
        if event == ARRAY:
            self.steps.append(-1)
        elif event == OBJECT:
            self.steps.append("")
        return event in {ARRAY, OBJECT}


class ContainerGuard(JsonGuard):
    """Finds the array (or the object, if `kind` is OBJECT) at `steps`; `inside` are its bytes in the last piece.

    `begin` is called with the document around it, up to there.
    """

    def __init__(
        self, steps: Steps, kind: str = ARRAY, begin: Callable[[Mapping[str, object]], None] | None = None
    ) -> None:
        super().__init__()
        self._begin = begin
        self._steps = steps
        self._kind = kind
        self._walk = _Walk()
        self._openings = 0  # brackets before this piece
        self._opened: list[Event] = ijson.sendable_list()
        self._look = ijson.parse_coro(self._opened)
        self._events: list[Event] = ijson.sendable_list()
        self._parser = ijson.parse_coro(self._events)
        self._closed = False  # whether the container has ended, so that the rest is envelope
        self.envelope = JsonEnvelope()
        self.inside = b""
        self.sent: SentKeys | None = None  # once the container was found
        self._early: list[tuple[Marks, Depths]] = []  # marks from before the container was found

    @property
    def found(self) -> bool:
        """Whether the container has been found."""
        return self.sent is not None

    @property
    def is_between_records(self) -> bool:
        """Whether the last piece ends with a record of the array, and the array goes on."""
        sent = self.sent
        return sent is not None and not sent.closed and self.ends_at(sent.depth)

    @property
    def nested(self) -> bool:
        return self.sent is not None and self.sent.nested

    def admit(self, chunk: bytes) -> bytes:
        self.inside = b""
        admitted = super().admit(chunk)
        if admitted:
            self._follow(admitted)
        return admitted

    def finish(self) -> bytes:
        admitted = super().finish()
        around = self.sent is None or self._closed
        self.inside = b"" if around else admitted
        if admitted and around:
            self._keep(admitted)
        return admitted

    def end(self) -> None:
        """End the document.

        Raises:
            IncompleteJSONError: it is cut around the container.
        """
        self._parser.close()
        self._take_envelope()

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        if self.sent is None:
            self._early.append((marks, depths))
        else:
            self.sent.add(marks, depths)

    def _follow(self, piece: bytes) -> None:
        """Divide the piece: what is inside the container, and what is around it."""
        if self._closed:
            self._keep(piece)
            return
        opening, start, end = -1, 0, len(piece)
        if self.sent is None:
            found = self._found_in(piece)
            if found is None:
                self._keep(piece)
                return
            opening = found
            start = self.positions(piece, opening)[0]
            self._keep(piece[: start + 1])
            if self._begin:
                self._begin(self.envelope.value)
        if self.sent is not None and self.sent.closed:
            self._closed = True
            closing = opening + 1 + int(np.argmax(self.look.depths[opening + 1 :] < self.sent.depth))
            end = self.positions(piece, closing)[0]
            self._keep(piece[end:])
        self.inside = piece[start : end + 1]

    def _found_in(self, piece: bytes) -> int | None:
        """The index of the piece's mark that opens the container; None if it does not start in the piece."""
        self._look.send(piece)
        openings = 0
        for _, event, value in self._opened:
            if not self._walk.begins(event, value):
                continue
            if event == self._kind and self._walk.steps == self._steps:
                self.sent = SentKeys(self._openings + openings + 1)
                for marks, depths in self._early:
                    self.sent.add(marks, depths)
                self._early.clear()
                return int(np.flatnonzero(np.isin(self.look.marks, OPENING))[openings])
            openings += self._walk.enter(event)
        self._openings += openings
        del self._opened[:]
        return None

    def _keep(self, piece: bytes) -> None:
        self._parser.send(piece)
        self._take_envelope()

    def _take_envelope(self) -> None:
        self.envelope.take(self._events)
        del self._events[:]

    def require_whole(self, keys: int, more: int) -> None:
        """At the end, check that the records have all keys that were sent.

        Args:
            keys: The number of keys in the decoded records.
            more: The number of keys in the blocks that templates read and proved.

        Raises:
            SourceRefused: keys are missing.
        """
        if self.sent is not None:
            require_all(self.sent.count + more, keys + more)
