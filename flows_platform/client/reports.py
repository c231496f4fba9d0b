"""The client for reports, which gives rows as Arrow tables, or as bytes in any format."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, urlencode

from flows_platform.client.sending import Answer, Sender, Sent
from flows_platform.domain.errors import StreamIncomplete
from flows_platform.domain.progress import Progress, silent
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat

if TYPE_CHECKING:
    import pyarrow as pa

LIST = "/api/v1/reports"
LONGEST_QUERY = 2000  # characters; longer queries are sent in a body
KEPT_BYTES = 256 << 20  # total size of the tables that a client keeps
NOT_MODIFIED = 304


class Unchanged(Exception):
    """The server still has the answer whose ETag was sent."""


class Downloaded(NamedTuple):
    """The number of rows, if the server says it, and the answer's ETag; empty while its data has no certain version."""

    rows: int | None
    etag: str


class Listing(NamedTuple):
    """The reports that a token may read, and why declared ones are not served, by file, line and key.

    For a token of single reports, `faults` is empty.
    """

    reports: list[dict[str, Any]]
    faults: tuple[str, ...]


class Reports:
    """The reports of one server. Threads may share a client.

    Unchanged tables are not sent again. The token is sent only to be exchanged for a short one, when the server first
    requires it.

    Args:
        url: The URL of the server, such as https://flows.example.com.
        token: A token of `flows token create`; None for a server that requires none.
        progress: Called with the number of received bytes, and with their total if it is known.
        patience: Seconds for which requests to a busy server are repeated, with the waits that it asks for.
        sleep: Called with the seconds of such a wait.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        progress: Progress = silent,
        patience: float = 120,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sender = Sender(url, token, progress, patience, sleep)
        self._kept: OrderedDict[Sent, tuple[str, pa.Table]] = OrderedDict()
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def list(self) -> list[dict[str, Any]]:
        """The reports that the token may read, with description, parameters, columns, chart and newest data.

        Raises:
            ConfigurationError: the token is unknown to the server, or may not read reports.
            SourceUnavailable: the server does not answer, or is busy for longer than `patience`.
        """
        return self.listing().reports

    def listing(self) -> Listing:
        """As `list`, with the reports that are not served."""
        found = self._json(LIST)
        return Listing(found["reports"], tuple(found.get("faults", ())))

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a report's parameters and rows.

        Raises:
            ConfigurationError: there is no such report; others as `list`.
        """
        return self._json(f"{LIST}/{quote(name, safe='')}/schema")

    def get(self, name: str, /, **parameters: object) -> "pa.Table":
        """The rows of a report.

        Args:
            name: The name of the report.
            parameters: Strings, numbers, dates, times (UTC if they have no time zone), booleans, or lists of these.

        Raises:
            ConfigurationError: a parameter is refused; the message says what is allowed. Others as `schema`.
            SourceRefused: the answer would be larger than the report allows, or cannot be computed for these values.
            StreamIncomplete: the answer ended early.
        """
        import pyarrow as pa  # noqa: PLC0415 - takes a third of a second

        sent = _sent(name, WireFormat.ARROW, parameters)
        with self._lock:
            etag, held = self._kept.get(sent, ("", None))
        with closing(self._sender.send(sent, {"If-None-Match": etag} if etag else {})) as answer:
            if answer.status == NOT_MODIFIED and held is not None:
                self._keep(sent, etag, held)
                return held
            body = answer.body()
        try:
            table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        except (pa.ArrowException, OSError) as error:
            raise StreamIncomplete(f"{answer.url} sent no whole Arrow stream ({len(body):,} bytes).") from error
        _check_count(answer, table.num_rows)
        self._keep(sent, answer.headers.get("ETag", ""), table)
        return table

    def download(
        self,
        name: str,
        wire_format: WireFormat,
        target: IO[bytes],
        parameters: Mapping[str, object],
        *,
        known: str = "",
    ) -> Downloaded:
        """Write the rows of a report to an open file, unless the ETag `known` is that of its answer.

        Raises:
            Unchanged: it is; nothing was written.
            PlatformError: as `get`.
        """
        headers = {"If-None-Match": known} if known else {}
        with closing(self._sender.send(_sent(name, wire_format, parameters), headers)) as answer:
            if answer.status == NOT_MODIFIED:
                raise Unchanged
            for piece in answer.pieces():
                target.write(piece)
        return Downloaded(_count(answer), answer.headers.get("ETag", ""))

    def _json(self, path: str) -> dict[str, Any]:
        with closing(self._sender.send(Sent("GET", path), {})) as answer:
            return answer.json()

    def _keep(self, sent: Sent, etag: str, table: "pa.Table") -> None:
        """Keep a table with its ETag as the most recent one."""
        with self._lock:
            self._kept.pop(sent, None)
            if etag:
                self._kept[sent] = (etag, table)
            # guard: tables that a client keeps have a bound
            while sum(kept.nbytes for _, kept in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)


def _sent(name: str, wire_format: WireFormat, parameters: Mapping[str, object]) -> Sent:
    """The request for a report, with a query string if possible, else with a body. Commas separate a query's values."""
    texts = {key: _texts(value) for key, value in parameters.items()}
    path = f"{LIST}/{quote(name, safe='')}"
    query = urlencode({key: value if isinstance(value, str) else ",".join(value) for key, value in texts.items()})
    lists = [value for value in texts.values() if not isinstance(value, str)]
    # guard: a comma in a value does not split it
    if len(query) > LONGEST_QUERY or any("," in item for value in lists for item in value):
        return Sent.json(f"{path}/query?format={wire_format}", texts)
    return Sent("GET", f"{path}.{wire_format}" + (f"?{query}" if query else ""))


def _texts(value: object) -> str | tuple[str, ...]:
    return tuple(map(_text, value)) if isinstance(value, list | tuple | set | frozenset) else _text(value)


def _text(value: object) -> str:
    """The value as a URL writes it."""
    from flows_platform.reports.values import as_text  # noqa: PLC0415 - a client of lists alone does without

    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return as_text(value)  # type: ignore[arg-type]  # of other types, their text


def _count(answer: Answer) -> int | None:
    text = answer.headers.get(RECORD_COUNT_HEADER, "")
    return int(text) if text.isascii() and text.isdigit() else None


def _check_count(answer: Answer, rows: int) -> None:
    declared = _count(answer)
    # guard: a table has all rows
    if declared is not None and declared != rows:
        raise StreamIncomplete(f"{answer.url} declared {declared:,} rows and sent {rows:,}.")
