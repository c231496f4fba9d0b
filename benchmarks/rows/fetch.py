"""The client: a stream into a Parquet file, as whole processes; beside DuckDB, Tenzir, textbook clients and dlt."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import serving
from benchmarks.commands import command
from benchmarks.contest import Contender, Goal, Quantity, Row, Trial
from benchmarks.data import Span
from benchmarks.environment import OTHERS, baseline, flows
from benchmarks.outputs import parquet_digest
from benchmarks.processes import run
from benchmarks.rows.files import data_of, scratch
from benchmarks.serving import STREAM, Server
from benchmarks.sizes import Sizes
from flows_platform.formats.protocol.names import Parser

type Contest = AbstractContextManager[Sequence[Contender]]

MOST_MEMORY = 256  # MB of the whole process tree, for any number of rows


@dataclass(frozen=True, slots=True)
class Stream:
    """All rows in one format from one server; a method is a way to read them into its own file in `folder`."""

    api: Server
    span: Span
    wire: str
    folder: Path

    @property
    def url(self) -> str:
        return f"{self.api.url}{STREAM}?{self.span.query}&format={self.wire}"

    def ours(self) -> Contender:
        """`flows fetch`."""
        return self._fetched(f"ours {self.wire}")

    def reference(self) -> Contender:
        """`flows fetch`, by the reference parser only."""
        return self._fetched(f"ours {self.wire}, reference", FLOWS_API_PARSER=Parser.REFERENCE.value)

    def usual(self, name: str) -> Contender:
        """A textbook client."""
        return self._written(name, baseline(f"{name}.py", self.url, self._out(name)))

    def duckdb(self) -> Contender:
        """DuckDB, which curl pipes the stream to."""
        out = self._out("duckdb")
        return self._written("duckdb", baseline("duckdb_parquet.sh", OTHERS, self.wire, self.url, out))

    def tenzir(self) -> Contender:
        """Tenzir with its own HTTP client."""
        out = self._out("tenzir")
        return self._written("tenzir", baseline("tenzir_parquet.sh", OTHERS.parent / "tenzir", self.url, out))

    def curl(self) -> Contender:
        """The lower bound: the bytes read and discarded."""
        return command("curl", ["curl", "-sSf", "-o", "/dev/null", self.url], self.span.rows)

    def _fetched(self, name: str, **settings: str) -> Contender:
        bounds = [*(["--after", self.span.after] if self.span.after >= 0 else []), "--before", self.span.before]
        out = self._out(name)
        argv = flows("fetch", "--url", self.api.url + STREAM, *bounds, "--format", self.wire, "--out", out)
        return self._written(name, argv, **settings)

    def _written(self, name: str, argv: Sequence[str], **settings: str) -> Contender:
        result = partial(parquet_digest, self._out(name))
        return command(name, argv, self.span.rows, result=result, settings=settings)

    def _out(self, name: str) -> Path:
        return self.folder / f"{name}-{self.wire}-{self.span.rows}.parquet"


def fetch(wire: str, ways: Callable[[Stream], Sequence[Contender]]) -> Callable[[Sizes], Contest]:
    """All rows in `wire`, in all the given ways."""

    @contextmanager
    def contest(sizes: Sizes) -> Iterator[Sequence[Contender]]:
        data = data_of(sizes)
        with scratch(sizes) as folder, serving.api(data.database, folder) as api:
            yield ways(Stream(api, data.all, wire, folder))

    return contest


@contextmanager
def memory(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """A tenth of the rows, and all."""
    data = data_of(sizes)
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        for_all, tenth = (Stream(api, span, "json", folder).ours() for span in (data.all, data.ending(sizes.window)))
        yield [Contender("a tenth", tenth.trial), Contender("all", for_all.trial)]


@contextmanager
def dlt(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """All rows by dlt's rest_api source, by dlt fed with Arrow, and by us."""
    data = data_of(sizes)
    span = data.all
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        by_rest = baseline(
            "dlt_rest.py", api.url, STREAM, f"{span.query}&format=json", folder / "dlt_rest", python=OTHERS
        )
        json, xml, arrow = (Stream(api, span, wire, folder) for wire in ("json", "xml", "arrow"))
        fed = baseline("dlt_arrow.py", arrow.url, folder / "dlt_arrow", python=OTHERS)
        yield [
            _pipeline("dlt rest_api", by_rest, span.rows, folder / "dlt_rest"),
            *(ways.ours() for ways in (json, xml, arrow)),
            _pipeline("dlt fed Arrow", fed, span.rows, folder / "dlt_arrow"),
        ]


def _pipeline(name: str, argv: Sequence[str], rows: int, folder: Path) -> Contender:
    """A dlt pipeline, every time from an empty folder."""

    def trial() -> Trial:
        shutil.rmtree(folder, ignore_errors=True)
        usage = run(argv)
        return Trial(rows, usage.seconds, usage.cpu, usage.rss)

    return Contender(name, trial, lambda: parquet_digest(*(folder / "files" / "data" / "flows").glob("*.parquet")))


def own_goals(wire: str, label: str, curl_times: float | None = None) -> tuple[Goal, ...]:
    """The goals of every format: little more time than its bytes take, and constant memory."""
    ours = f"ours {wire}"
    return (
        Goal(f"fetch {label}, seconds of curl's", ours, "curl", Quantity.SECONDS, at_most=curl_times),
        Goal(f"fetch {label}, memory", ours, quantity=Quantity.RSS, at_most=MOST_MEMORY),
    )


ROWS = (
    Row(
        "fetch-csv",
        (Goal("fetch CSV to Parquet", "ours csv", "duckdb", at_least=1.5), *own_goals("csv", "CSV")),
        fetch("csv", lambda csv: [csv.duckdb(), csv.ours(), csv.curl()]),
        others=True,
    ),
    Row(
        "fetch-ndjson",
        (
            Goal("fetch NDJSON to Parquet", "ours ndjson", "duckdb", at_least=1),
            Goal("fetch NDJSON, memory of DuckDB's", "ours ndjson", "duckdb", Quantity.RSS, at_most=1 / 3),
            Goal("fetch NDJSON to Parquet", "ours ndjson", "tenzir", at_least=2.6),
            *own_goals("ndjson", "NDJSON"),
        ),
        fetch("ndjson", lambda ndjson: [ndjson.duckdb(), ndjson.ours(), ndjson.tenzir(), ndjson.curl()]),
        others=True,
    ),
    Row(
        "fetch-json",
        (
            Goal("fetch JSON to Parquet", "ours json", "duckdb", at_least=5),
            Goal("fetch JSON to Parquet", "ours json", "ijson_dicts", at_least=1.15),
            *own_goals("json", "JSON", curl_times=3.5),
            Goal("fetch JSON to Parquet, parser=reference", "ours json, reference", "ijson_dicts"),
        ),
        fetch(
            "json", lambda json: [json.usual("ijson_dicts"), json.ours(), json.reference(), json.duckdb(), json.curl()]
        ),
        others=True,
    ),
    Row(
        "fetch-xml",
        (
            Goal("fetch XML to Parquet", "ours xml", "xml_records", at_least=2),
            *own_goals("xml", "XML", curl_times=5),
            Goal("fetch XML to Parquet, parser=reference", "ours xml, reference", "xml_records"),
        ),
        fetch("xml", lambda xml: [xml.usual("xml_records"), xml.ours(), xml.reference(), xml.curl()]),
    ),
    Row(
        "fetch-arrow",
        (
            Goal("fetch Arrow to Parquet", "ours arrow", "arrow_stream"),
            *own_goals("arrow", "Arrow", curl_times=1.6),
        ),
        fetch("arrow", lambda arrow: [arrow.usual("arrow_stream"), arrow.ours(), arrow.curl()]),
    ),
    Row(
        "fetch-memory",
        (Goal("fetch 10 times the rows, memory", "all", "a tenth", quantity=Quantity.RSS, at_most=1.2),),
        memory,
    ),
    Row(
        "dlt",
        (
            Goal("whole client, JSON", "ours json", "dlt rest_api", at_least=5),
            Goal("whole client, XML", "ours xml", "dlt rest_api", at_least=4),
            Goal("whole client, Arrow", "ours arrow", "dlt rest_api", at_least=20),
            Goal("whole client, Arrow both", "ours arrow", "dlt fed Arrow", at_least=1),
        ),
        dlt,
        others=True,
    ),
)
