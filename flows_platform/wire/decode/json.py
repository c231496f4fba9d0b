"""A JSON document to records, by ijson: the container must be there, the document whole, the footer last."""

import json
import re
from collections.abc import Iterator
from itertools import islice

import ijson

from flows_platform.domain.errors import ConfigurationError, SourceRefused, StreamIncomplete
from flows_platform.wire.casting import Records
from flows_platform.wire.decode.source import ByteSource, TailReader
from flows_platform.wire.formats import END

SLICE = 1024  # records a slice; 256 to 4,096 measured alike
BUFFER = 1 << 18
# The footer as the document's last member: `],"end":{…}}` and nothing after. In a document that ijson found whole this
# cannot lie inside a string, since a string's quotes would be escaped.
FOOTER = re.compile(rb'"' + END.encode() + rb'"\s*:\s*(\{[^{}\[\]]*\})\s*\}\s*\Z')


class JsonDocument:
    """`{"…": [records], …, "end": {"count": N}}`; `path` leads to the array, as `records` or `result.items`."""

    def __init__(self, source: ByteSource, path: str) -> None:
        if ijson.backend_name != "yajl2_c":
            raise ConfigurationError(
                f"ijson runs on its {ijson.backend_name} backend, 12 to 20 times slower than yajl2_c.",
                remedy="Install the ijson wheel for this platform, which brings yajl2_c; check IJSON_BACKEND.",
            )
        self._reader = TailReader(source)
        self._path = path
        self.declared: int | None = None

    def slices(self) -> Iterator[Records]:
        """Lists of at most 1,024 records.

        Raises:
            StreamIncomplete: the document ends before its end.
            SourceRefused: it is not JSON, or has no array at the path.
        """
        try:
            yield from self._records()
        except (ijson.JSONError, UnicodeDecodeError) as error:
            if self._reader.ended:
                raise StreamIncomplete(f"the JSON document ends early ({_brief(error)}).") from error
            raise SourceRefused(f"the answer is not valid JSON ({_brief(error)}).") from error
        self.declared = _footer_count(self._reader.tail)

    def _records(self) -> Iterator[Records]:
        container = _Container(self._path)
        self._reader.watch(container.feed)
        records = ijson.items(self._reader, f"{self._path}.item", buf_size=BUFFER)
        while part := list(islice(records, SLICE)):
            yield part
        container.require()


class _Container:
    """Looks for the array's start in the first chunks; ijson alone would take `{"error": …}` for no records."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found = False
        self._events: list[tuple[str, str, object]] = ijson.sendable_list()
        self._parser = ijson.parse_coro(self._events)

    def feed(self, chunk: bytes) -> bool:
        """Look into one more chunk; False when there is nothing left to look for."""
        self._parser.send(chunk)
        self._found = any(prefix == self._path and event == "start_array" for prefix, event, _ in self._events)
        del self._events[:]
        return not self._found

    def require(self) -> None:
        if not self._found:
            raise SourceRefused(
                f"the JSON document has no array at {self._path!r}.",
                remedy="Check the URL: this is not the stream of records it should be.",
            )


def _footer_count(tail: bytes) -> int | None:
    match = FOOTER.search(tail)
    count = json.loads(match[1]).get("count") if match else None
    return count if type(count) is int else None


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
