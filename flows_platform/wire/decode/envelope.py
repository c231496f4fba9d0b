"""What stands around the records of a document: totals, links, errors. In the shape of decoded JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ijson

from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable
from flows_platform.wire.paths import RecordPath, single

type Event = tuple[str, str, object]


class JsonEnvelope:
    """Builds a JSON document without the elements of the array at `path`, from ijson's events."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._builder = ijson.ObjectBuilder()
        self._inside = False

    def take(self, events: list[Event]) -> None:
        """Events in the order they came."""
        for event in self._outside(events):
            self._builder.event(*event)

    def _outside(self, events: list[Event]) -> Iterator[tuple[str, object]]:
        for prefix, event, value in events:
            if self._inside and event == "end_array" and prefix == self._path:
                self._inside = False
            if not self._inside:
                yield event, value
            if event == "start_array" and prefix == self._path:
                self._inside = True

    @property
    def value(self) -> Mapping[str, object]:
        """The document, as far as it came; empty where it is no object."""
        value = getattr(self._builder, "value", None)
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """How an API writes an error into a document, also under the status 200.

    `root` is its XML root element; without one, an error is where `message` leads to something. `transient` codes
    are those after which the same request may succeed.
    """

    message: RecordPath
    code: RecordPath | None = None
    root: str | None = None
    transient: frozenset[str] = frozenset()

    def error(self, root: str | None, envelope: Mapping[str, object]) -> PlatformError | None:
        """The error that the document tells, if it is one."""
        message = single(self.message.find(envelope))
        if self.root != root or (self.root is None and message in (None, "", False)):
            return None
        code = single(self.code.find(envelope)) if self.code else None
        shown = f" {str(code)[:80]}" if code else ""
        text = f"the API answers with an error{shown}: {str(message or 'without a text')[:500]}"
        transient = str(code) in self.transient
        return SourceUnavailable(text.rstrip(".") + ".") if transient else SourceRefused(text.rstrip(".") + ".")
