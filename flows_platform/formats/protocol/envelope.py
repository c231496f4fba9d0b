"""What stands around the records of a document: totals, links, errors. In the shape of decoded JSON."""

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
    """The number of records, and the digest of their rows in hex where the server gave it."""

    count: int
    digest: str | None = None


def declared(count: object, digest: object = None) -> DeclaredTotal | None:
    """The footer of these two values; None where the count is none. A digest of another kind than ours is ignored."""
    if type(count) is not int or count < 0:
        return None
    known = isinstance(digest, str) and DIGEST_TEXT.fullmatch(digest)
    return DeclaredTotal(count, str(digest) if known else None)


def declared_text(count: str | None, digest: str | None = None) -> DeclaredTotal | None:
    """As `declared`, in formats where all is text."""
    return declared(int(count), digest) if count and COUNT_TEXT.fullmatch(count) else None


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


class ErrorDocument(Declared):
    """The API's error documents, also those that come with status 200."""

    message: RecordPath = Field(description="Path of the text.")
    code: RecordPath | None = Field(None, description="Path of the code.")
    root: str | None = Field(None, description="XML root of an error; else an error is where the message is.")
    transient: tuple[Code, ...] = Field((), description="Codes after which the same request may succeed.")
    _nothing: frozenset[str] = PrivateAttr(frozenset())

    def with_nothing(self, codes: frozenset[str]) -> "ErrorDocument":
        """The same, where these codes mean that there are no records."""
        document = self.model_copy()
        document._nothing = codes  # noqa: SLF001 - of this class
        return document

    def error(self, root: str | None, envelope: Mapping[str, object]) -> PlatformError | None:
        """The error that the document tells, if it is one."""
        message = single(self.message.find(envelope))
        code = single(self.code.find(envelope)) if self.code else None
        known = str(code) in self._nothing.union(self.transient)  # by itself, also without a text
        if self.root not in {None, root} or (self.root is None and message in (None, "", False) and not known):
            return None
        shown = f" {str(code)[:80]}" if code else ""
        text = f"the API answers with an error{shown}: {str(message or 'without a text')[:500]}"
        kind = SourceUnavailable if str(code) in self.transient else SourceRefused
        return (NoRecords if str(code) in self._nothing else kind)(text.rstrip(".") + ".")
