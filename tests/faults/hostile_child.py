"""Run as `python -m tests.faults.hostile_child FOLDER NAME…`: reads each body and prints the outcome.

A line of JSON a body: the error's type and message, the memory it took beyond what was there, its calls of Python
functions (work that is the same on a busy machine). A name that ends in `(nested)` is read by a declaration that maps
nested records and keeps what is around them, one that ends in `(fast)` by templates.
"""

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType

from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import PlatformError
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.refusals import Refusals
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import CONTENT_TYPES, Parser, WireFormat
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.faults.hostile_bodies import HOSTILE
from tests.fetch.flow_bodies import BOUNDS, json_body, row
from tests.fetch.scripted import ScriptedServer, answer, scripted_server

ADDRESS_SPACE = 4 << 30
NESTED = " (nested)"
ALONE = " (reference)"
FORMATS = {kind: wire for wire, kind in CONTENT_TYPES.items()}


@dataclass
class Work:
    """Calls of Python functions, in all threads."""

    calls: int = 0

    def add(self, _code: CodeType, _offset: int) -> None:
        self.calls += 1


@contextmanager
def counted() -> Iterator[Work]:
    work, watch = Work(), sys.monitoring
    watch.use_tool_id(watch.PROFILER_ID, "work")
    watch.register_callback(watch.PROFILER_ID, watch.events.PY_START, work.add)
    watch.set_events(watch.PROFILER_ID, watch.events.PY_START)
    try:
        yield work
    finally:
        watch.set_events(watch.PROFILER_ID, watch.events.NO_EVENTS)
        watch.free_tool_id(watch.PROFILER_ID)


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name + ":"))) * 1024


def nesting(api: WindowedApi) -> WindowedApi:
    """The same API, its records nested and its documents with a total, errors and an external DTD."""
    columns = tuple(
        ColumnSource(column.name, column.type, (RecordPath.parse(column.name),)) for column in FLOWS.columns
    )
    enveloped = api.format in {WireFormat.JSON, WireFormat.XML}
    return replace(
        api,
        mapping=RecordMapping(columns),
        total=RecordPath.parse("total") if enveloped else None,
        refusals=Refusals(document=ErrorDocument(message=RecordPath.parse("error.message"))),
        doctype=True,
    )


def stage(client: HttpClient, server: ScriptedServer, name: str, target: Path) -> None:
    hostile = HOSTILE[name.removesuffix(NESTED).removesuffix(ALONE)]
    server.scripts = [answer(hostile.body(), kind=hostile.kind, Content_Encoding=hostile.coding)]
    api = WindowedApi(url=server.url, schema=FLOWS, format=FORMATS[hostile.kind], verification=Verification.UNVERIFIED)
    api = nesting(api) if name.endswith(NESTED) else api
    api = replace(api, parser=Parser.REFERENCE) if name.endswith(ALONE) else api
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before, error = memory("VmRSS"), "none"
    with counted() as work:
        try:
            fetch_window(client, api, BOUNDS, target, tries=1)
        except PlatformError as raised:
            error = f"{type(raised).__name__}: {raised}"[:300]
    sys.stdout.write(json.dumps({"error": error, "extra": memory("VmHWM") - before, "calls": work.calls}) + "\n")
    sys.stdout.flush()


def main(folder: Path, names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    client, target = HttpClient(), folder / "window.parquet"
    with scripted_server() as server:
        server.scripts = [answer(json_body([row(1)]))]
        fetch_window(client, WindowedApi(url=server.url, schema=FLOWS), BOUNDS, folder / "warm.parquet", tries=1)
        for name in names:
            stage(client, server, name, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
