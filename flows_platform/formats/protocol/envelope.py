"""What stands around the records of a document: totals, links, errors. In the shape of decoded JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows_platform.columns.paths import RecordPath, single
from flows_platform.domain.errors import NoRecords, PlatformError, SourceRefused, SourceUnavailable

type Event = tuple[str, str, object]


class JsonEnvelope:
    """Builds a JSON document from ijson's events: where a name stands twice in one object, JSON gives it no meaning."""

    def __init__(self) -> None:
        self._value: object = {}
        self._open: list[tuple[object, str]] = []  # containers, and the name that their next value gets

    def take(self, events: list[Event]) -> None:
        """Events in the order they came.

        Raises:
            SourceRefused: a name stands twice in one object.
        """
        for prefix, event, value in events:
            if event == "map_key":
                self._name(str(value), prefix)
            elif event in {"end_map", "end_array"}:
                self._open.pop()
            else:
                made: object = {} if event == "start_map" else [] if event == "start_array" else value
                self._put(made)
                if event.startswith("start_"):
                    self._open.append((made, ""))

    def _name(self, name: str, prefix: str) -> None:
        holder, _ = self._open[-1]
        # guard: a name that stands twice around the records is refused
        if isinstance(holder, dict) and name in holder:
            place = f"{prefix}.{name}" if prefix else name
            raise SourceRefused(f"the member {place!r} stands twice in the JSON document, which gives it no meaning.")
        self._open[-1] = holder, name

    def _put(self, value: object) -> None:
        holder, name = self._open[-1] if self._open else (None, "")
        if isinstance(holder, dict):
            holder[name] = value
        elif isinstance(holder, list):
            holder.append(value)
        else:
            self._value = value

    @property
    def value(self) -> Mapping[str, object]:
        """The document, as far as it came; empty where it is no object."""
        return self._value if isinstance(self._value, dict) else {}

    @property
    def root(self) -> object:
        """The document, whatever it is."""
        return self._value


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """How an API writes an error into a document, also under the status 200.

    `root` is its XML root element; without one, an error is where `message` leads to something. `transient` codes
    are those after which the same request may succeed, `nothing` those that mean that there are no records.
    """

    message: RecordPath
    code: RecordPath | None = None
    root: str | None = None
    transient: frozenset[str] = frozenset()
    nothing: frozenset[str] = frozenset()

    def error(self, root: str | None, envelope: Mapping[str, object]) -> PlatformError | None:
        """The error that the document tells, if it is one."""
        message = single(self.message.find(envelope))
        code = single(self.code.find(envelope)) if self.code else None
        known = str(code) in self.nothing | self.transient  # by itself, also without a text
        if self.root not in {None, root} or (self.root is None and message in (None, "", False) and not known):
            return None
        shown = f" {str(code)[:80]}" if code else ""
        text = f"the API answers with an error{shown}: {str(message or 'without a text')[:500]}"
        kind = SourceUnavailable if str(code) in self.transient else SourceRefused
        return (NoRecords if str(code) in self.nothing else kind)(text.rstrip(".") + ".")
