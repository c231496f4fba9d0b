"""The client: a stream into a Parquet file, as whole processes; beside textbook clients and dlt."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from flows_platform.wire.parser import Parser

FORMATS = ("json", "xml", "ndjson", "arrow")
ALONE = "ours json, one process"  # ijson's own pace: what formats are compared with
FAST = "ours json, fast"


def ours(api: Server, span: Span, wire: str, folder: Path) -> Contender:
    """`flows fetch` in one format."""
    return _ours(f"ours {wire}", api, span, wire, folder / f"{wire}-{span.rows}.parquet")


def _ours(name: str, api: Server, span: Span, wire: str, out: Path, **settings: str) -> Contender:
    bounds = [*(["--after", span.after] if span.after >= 0 else []), "--before", span.before]
    argv = flows("fetch", "--url", api.url + STREAM, *bounds, "--format", wire, "--out", out)
    return command(name, argv, span.rows, result=partial(parquet_digest, out), settings=settings)


@contextmanager
def fetch(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """All rows in each format, and by the usual clients."""
    data = data_of(sizes)
    span = data.all
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        url = f"{api.url}{STREAM}?{span.query}&format="

        def usual(name: str, wire: str) -> Contender:
            out = folder / f"{name}.parquet"
            argv = baseline(f"{name}.py", url + wire, out)
            return command(name, argv, span.rows, result=partial(parquet_digest, out))

        yield [
            usual("ijson_dicts", "json"),
            ours(api, span, "json", folder),
            _ours(ALONE, api, span, "json", folder / "alone.parquet", FLOWS_FETCH_PROCESSES="1"),
            _ours(FAST, api, span, "json", folder / "fast.parquet", FLOWS_API_PARSER=Parser.TEMPLATE.value),
            usual("xml_records", "xml"),
            *(ours(api, span, wire, folder) for wire in FORMATS[1:]),
        ]


@contextmanager
def memory(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """A tenth of the rows, and all."""
    data = data_of(sizes)
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        for_all, tenth = ours(api, data.all, "json", folder), ours(api, data.ending(sizes.window), "json", folder)
        yield [Contender("a tenth", tenth.trial), Contender("all", for_all.trial)]


@contextmanager
def dlt(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """All rows by dlt's rest_api source, by dlt fed with Arrow, and by us."""
    data = data_of(sizes)
    span = data.all
    with scratch(sizes) as folder, serving.api(data.database, folder) as api:
        rest = baseline("dlt_rest.py", api.url, STREAM, f"{span.query}&format=json", folder / "dlt_rest", python=OTHERS)
        url = f"{api.url}{STREAM}?{span.query}&format=arrow"
        fed = baseline("dlt_arrow.py", url, folder / "dlt_arrow", python=OTHERS)
        yield [
            _pipeline("dlt rest_api", rest, span.rows, folder / "dlt_rest"),
            *(ours(api, span, wire, folder) for wire in ("json", "xml", "arrow")),
            _pipeline("dlt fed Arrow", fed, span.rows, folder / "dlt_arrow"),
        ]


def _pipeline(name: str, argv: Sequence[str], rows: int, folder: Path) -> Contender:
    """A dlt pipeline, each time from nothing."""

    def trial() -> Trial:
        shutil.rmtree(folder, ignore_errors=True)
        usage = run(argv)
        return Trial(rows, usage.seconds, usage.cpu, usage.rss)

    return Contender(name, trial, lambda: parquet_digest(*(folder / "files" / "data" / "flows").glob("*.parquet")))


ROWS = (
    Row(
        "fetch",
        (
            Goal("fetch JSON to Parquet", "ours json", "ijson_dicts", at_least=1.15),
            Goal("fetch XML to Parquet", "ours xml", "xml_records", at_least=2),
            Goal("fetch JSON to Parquet, one process", ALONE, "ijson_dicts"),
            Goal("fetch JSON to Parquet, parser=fast", FAST, "ijson_dicts"),
            Goal("fetch NDJSON to Parquet", "ours ndjson", ALONE, at_least=2.5),
            Goal("fetch Arrow to Parquet", "ours arrow", ALONE, at_least=4),
        ),
        fetch,
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
