"""The API: one stream, its first byte, many streams, compression; beside Flask, Datasette, sqlite and a bare socket."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import serving
from benchmarks.commands import command
from benchmarks.contest import Contender, Goal, Quantity, Row, Trial
from benchmarks.data import Span
from benchmarks.outputs import body_digest
from benchmarks.rows.files import data_of, scratch
from benchmarks.serving import STREAM, Server
from benchmarks.sizes import Sizes

FORMATS = ("ndjson", "json", "xml")
STREAMS = 16


@dataclass(frozen=True, slots=True)
class Answers:
    """The contenders of one server that send the rows of one window."""

    name: str
    server: Server
    endpoint: str
    span: Span
    folder: Path

    def stream(self, wire: str) -> Contender:
        """One stream to its end."""
        path, saved = f"{self.endpoint}?{self.span.query}&format={wire}", self.folder / f"{self.name}.{wire}"
        return Contender(
            f"{self.name} {wire}",
            partial(self.server.drain, path, self.span.rows),
            lambda: body_digest(self.server.save(path, saved), wire),
        )


@contextmanager
def one_stream(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """A large window in three formats from us and from Flask, over the same database; and the limits."""
    data = data_of(sizes)
    span, database = data.ending(sizes.window), data.database
    with scratch(sizes) as folder, ExitStack() as stack:
        api = stack.enter_context(serving.api(database, folder))
        flask = stack.enter_context(serving.flask(database, folder))
        ours, theirs = Answers("ours", api, STREAM, span, folder), Answers("flask", flask, "/flows", span, folder)
        path = f"{STREAM}?{span.query}&format=ndjson"
        raw = stack.enter_context(serving.raw_socket(api.save(path, folder / "body.ndjson"), folder))
        select = f"SELECT * FROM flows WHERE time > {span.after} AND time <= {span.before}"
        yield [
            *(server.stream(wire) for wire in FORMATS for server in (theirs, ours)),
            Contender("ours ndjson, gzip", partial(api.drain, path, span.rows, "--gzip")),
            command("sqlite3 select", ["sqlite3", str(database), select], span.rows),
            Contender("raw socket", partial(raw.drain, "/", span.rows)),
        ]


@contextmanager
def datasette(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The same window as CSV from us and from Datasette."""
    data = data_of(sizes)
    span = data.ending(sizes.datasette_window)
    with (
        scratch(sizes) as folder,
        serving.api(data.database, folder) as api,
        serving.datasette(data.database, folder) as other,
    ):
        path = f"/{data.database.stem}/flows.csv?_stream=on&time__gt={span.after}&time__lte={span.before}"
        theirs = Contender(
            "datasette csv",
            partial(other.drain, path, span.rows),
            lambda: body_digest(other.save(path, folder / "theirs.csv"), "csv"),
        )
        yield [theirs, Answers("ours", api, STREAM, span, folder).stream("csv")]


@contextmanager
def first_byte(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The first byte of a large window at the start, in the middle and at the end of the table."""
    data, size = data_of(sizes), sizes.window
    middle = data.rows // 2
    spans = {"start": data.span(0, size), "middle": data.span(middle, middle + size), "end": data.ending(size)}
    with (
        scratch(sizes) as folder,
        serving.api(data.database, folder) as api,
        serving.flask(data.tutorial, folder) as flask,
    ):

        def first(server: Server, endpoint: str, span: Span) -> Trial:
            return server.drain(f"{endpoint}?{span.query}&format=json", 1, "--first", figure="first")

        yield [
            Contender("flask end", partial(first, flask, "/flows", spans["end"])),
            *(Contender(f"ours {where}", partial(first, api, STREAM, span)) for where, span in spans.items()),
        ]


@contextmanager
def streams(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """One stream of a window against sixteen at once."""
    data = data_of(sizes)
    span = data.ending(sizes.window)
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        path = f"{STREAM}?{span.query}&format=ndjson"
        yield [
            Contender("one stream", partial(api.drain, path, span.rows)),
            Contender("16 streams", partial(api.drain, path, STREAMS * span.rows, "--streams", str(STREAMS))),
        ]


ROWS = (
    Row(
        "serve",
        (
            Goal("serve NDJSON, one stream", "ours ndjson", "flask ndjson", at_least=50),
            Goal("serve JSON, one stream", "ours json", "flask json", at_least=40),
            Goal("serve XML, one stream", "ours xml", "flask xml", at_least=40),
            Goal("serve NDJSON, of the sqlite CLI's select", "ours ndjson", "sqlite3 select", at_least=2),
            Goal("serve NDJSON, of the bytes alone", "ours ndjson", "raw socket"),
            Goal("serve NDJSON, gzip of identity", "ours ndjson, gzip", "ours ndjson", at_least=0.85),
        ),
        one_stream,
        others=True,
    ),
    Row(
        "datasette",
        (Goal("serve CSV, one stream", "ours csv", "datasette csv", at_least=100),),
        datasette,
        others=True,
    ),
    Row(
        "first-byte",
        (
            *(
                Goal(f"first byte, window at the {where}", f"ours {where}", quantity=Quantity.SECONDS, at_most=0.010)
                for where in ("start", "middle", "end")
            ),
            Goal("first byte, window at the end", "ours end", "flask end"),
        ),
        first_byte,
        others=True,
        rounds=3,
    ),
    Row(
        "streams",
        (
            Goal("16 streams, rows of all", "16 streams", "one stream", at_least=0.9),
            Goal("16 streams, the server's memory", "16 streams", quantity=Quantity.RSS, at_most=150),
        ),
        streams,
        rounds=2,
    ),
)
