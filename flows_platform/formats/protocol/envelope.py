"""The envelope around the records of a document: totals, links, errors. In the shape of decoded JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, PrivateAttr

from flows_platform.columns.paths import RecordPath, single
from flows_platform.declared import Code, Declared
from flows_platform.domain.errors import NoRecords, PlatformError, SourceRefused, SourceUnavailable

COUNT_TEXT = re.compile(r"[0-9]{1,19}", re.ASCII)
DIGEST_TEXT = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeclaredTotal:
    """The number of records, and the digest of their rows in hex if the server sent it."""

    count: int
    digest: str | None = None


def declared(count: object, digest: object = None) -> DeclaredTotal | None:
    """The total from a footer's values; None if `count` is not a count. A digest in another format is ignored."""
    if type(count) is not int or count < 0:
        return None
    known = isinstance(digest, str) and DIGEST_TEXT.fullmatch(digest)
    return DeclaredTotal(count, str(digest) if known else None)


def declared_text(count: str | None, digest: str | None = None) -> DeclaredTotal | None:
    """As `declared`, for formats whose values are all text."""
    return declared(int(count), digest) if count and COUNT_TEXT.fullmatch(count) else None


type Event = tuple[str, str, object]


class JsonEnvelope:
    """Builds a JSON document from ijson's events. A name repeated in an object is refused: JSON gives it no meaning."""

    def __init__(self) -> None:
        self._value: object = {}
        self._open: list[tuple[object, str]] = []  # open containers, with the name of their next value

    def take(self, events: list[Event]) -> None:
        """Add events, in their order.

        Raises:
            SourceRefused: a name is repeated in an object.
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
        # guard: a name repeated around the records is refused
        if isinstance(holder, dict) and name in holder:
            path = f"{prefix}.{name}" if prefix else name
            raise SourceRefused(f"the member {path!r} is repeated in the JSON document, so its value is ambiguous.")
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
        """The document as far as it was read; empty if it is not an object."""
        return self._value if isinstance(self._value, dict) else {}

    @property
    def root(self) -> object:
        """The document, which may be any value."""
        return self._value


class ErrorDocument(Declared):
    """How to recognize the API's error documents, even with status 200."""

    message: RecordPath = Field(description="Path of the text.")
    code: RecordPath | None = Field(None, description="Path of the code.")
    root: str | None = Field(None, description="XML root of an error; without it, a document with the message is one.")
    transient: tuple[Code, ...] = Field((), description="Codes after which the same request may succeed.")
    _nothing: frozenset[str] = PrivateAttr(frozenset())

    def with_nothing(self, codes: frozenset[str]) -> "ErrorDocument":
        """A copy for which these codes mean that there are no records."""
        document = self.model_copy()
        document._nothing = codes  # noqa: SLF001 - of this class
        return document

    def error(self, root: str | None, envelope: Mapping[str, object]) -> PlatformError | None:
        """The document's error; None if it is not an error document."""
        message = single(self.message.find(envelope))
        code = single(self.code.find(envelope)) if self.code else None
        known = str(code) in self._nothing.union(self.transient)  # the code alone is enough, without a message
        if self.root not in {None, root} or (self.root is None and message in (None, "", False) and not known):
            return None
        shown = f" {str(code)[:80]}" if code else ""
        text = f"the API answers with an error{shown}: {str(message or 'without a message')[:500]}"
        kind = SourceUnavailable if str(code) in self.transient else SourceRefused
        return (NoRecords if str(code) in self._nothing else kind)(text.rstrip(".") + ".")
