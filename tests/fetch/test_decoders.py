"""Decoding in a second process: the same files as without one, whatever becomes of it."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.domain.schema import TableSchema
from flows_platform.fetch.decoders import ALONE, START_AFTER, Cast, Decoders, in_order
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.fetch.worker_process import Pending
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.staging import StagedWindow, stage_window
from flows_platform.stores.quarantine import quarantine_path
from flows_platform.wire.decode.documents import Block
from flows_platform.wire.decode.json_blocks import JsonBlock
from flows_platform.wire.formats import WireFormat
from flows_platform.wire.parser import Parser
from tests.conditions import eventually

from .flow_bodies import BOUNDS, json_body, row, xml_body
from .scripted import ScriptedServer, answer

ROWS = [row(number, time=50) for number in range(1, 60_001)]
BAD = {number: {"byte_count": f"x{number}"} for number in (7, 30_000, 30_001, 45_678)}  # in blocks, but the first
BODIES = {WireFormat.JSON: json_body, WireFormat.XML: xml_body}
FLOW = JsonBlock(json_body([row(1)]).split(b"[")[1].split(b"]")[0], len(FLOWS.names), nested=False, surrogates=None)


@dataclass(slots=True, eq=False)
class Counting(Decoders):
    """Counts the blocks that leave, and calls `after_each` with their number."""

    left: int = 0
    after_each: Callable[[int], None] = lambda _: None

    def submit(self, schema: TableSchema, extra: str | None, block: Block) -> Pending[Cast] | None:
        taken = Decoders.submit(self, schema, extra, block)
        if taken:
            self.left += 1
            self.after_each(self.left)
        return taken


@pytest.fixture
def two() -> Iterator[Counting]:
    """Two processes, both up."""
    with closing(Counting(2, start_after=0)) as decoders:
        assert eventually(lambda: Decoders.submit(decoders, FLOWS, None, FLOW) is not None, seconds=60)
        yield decoders


def stage(
    client: HttpClient,
    server: ScriptedServer,
    target: Path,
    decoders: Decoders,
    wire: WireFormat,
    *,
    parser: Parser = Parser.REFERENCE,
) -> StagedWindow:
    api = WindowedApi(url=server.url, schema=FLOWS, format=wire, parser=parser)
    return stage_window(client, api, BOUNDS, target, max_rejected=10, tries=1, decoders=decoders)


def bad(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [each | BAD.get(place, {}) for place, each in enumerate(rows, start=1)]


@pytest.mark.parametrize("wire", BODIES)
def test_two_processes_give_what_one_gives(
    client: HttpClient, server: ScriptedServer, tmp_path: Path, two: Counting, wire: WireFormat
) -> None:
    body = BODIES[wire](bad(ROWS))
    assert len(body) > 2 * START_AFTER
    server.scripts = [answer(body, kind=wire.content_type)] * 2
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    one, both = (stage(client, server, file, each, wire) for file, each in zip(files, (ALONE, two), strict=True))
    assert two.left > 0
    assert (one.rows, one.rejected) == (both.rows, both.rejected) == (len(ROWS) - len(BAD), len(BAD))
    assert pq.read_table(files[0]).equals(pq.read_table(files[1]))
    assert quarantine_path(files[0]).read_bytes() == quarantine_path(files[1]).read_bytes()


def test_the_fast_parser_gives_what_ijson_gives_and_needs_no_process(
    client: HttpClient, server: ScriptedServer, tmp_path: Path, two: Counting
) -> None:
    server.scripts = [answer(json_body(bad(ROWS)))] * 2
    files = [tmp_path / f"{parser}.parquet" for parser in Parser]
    for file, parser in zip(files, Parser, strict=True):
        staged = stage(
            client, server, file, ALONE if parser is Parser.REFERENCE else two, WireFormat.JSON, parser=parser
        )
        assert (staged.rows, staged.rejected) == (len(ROWS) - len(BAD), len(BAD))
    assert two.left == 0
    assert pq.read_table(files[0]).equals(pq.read_table(files[1]))
    assert quarantine_path(files[0]).read_bytes() == quarantine_path(files[1]).read_bytes()


def test_a_process_that_dies_costs_no_record(
    client: HttpClient, server: ScriptedServer, target: Path, two: Counting
) -> None:
    def kill(left: int) -> None:
        if left == 2:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    two.after_each = kill
    server.scripts = [answer(json_body(ROWS), kind=WireFormat.JSON.content_type)]
    assert stage(client, server, target, two, WireFormat.JSON).rows == len(ROWS)
    assert pq.read_table(target).to_pylist() == ROWS
    assert two.left >= 2


SPOILT: dict[str, tuple[Callable[[bytes], bytes], type[Exception]]] = {
    "not valid JSON": (lambda body: body.replace(b'"id": 50000,', b'"id": 50000 '), MalformedDocument),
    "keys repeat": (lambda body: body.replace(b'"id": 50000,', b'"id": 0, "id": 50000,'), SourceRefused),
    "ends early": (lambda body: body[: len(body) - 300_000], StreamIncomplete),
    "60,000 came": (lambda body: body.replace(b'"count": 60000', b'"count": 60001'), StreamIncomplete),
}


@pytest.mark.parametrize("parser", Parser)
@pytest.mark.parametrize("says", SPOILT)
def test_what_is_wrong_in_a_block_is_said_as_ever(
    client: HttpClient, server: ScriptedServer, target: Path, two: Counting, *, says: str, parser: Parser
) -> None:
    spoil, error = SPOILT[says]
    server.scripts = [answer(spoil(json_body(ROWS)), kind=WireFormat.JSON.content_type)]
    with pytest.raises(error, match=says):
        stage(client, server, target, two, WireFormat.JSON, parser=parser)
    assert not target.exists()


@dataclass(slots=True)
class Later:
    """A result that is set when it is told."""

    told: list[str | None] = field(default_factory=list)

    def ready(self) -> bool:
        return bool(self.told)

    def get(self) -> str | None:
        return self.told[0]


def test_results_come_in_order_whoever_made_them() -> None:
    pending = {place: Later() for place in (1, 2, 5)}
    made: list[int] = []

    def here(part: int) -> str:
        made.append(part)
        if part == 4:  # by then others have ended, the later one first
            pending[2].told.append("elsewhere 2")
            pending[1].told.append(None)  # nothing was made of it
        if part == 6:
            pending[5].told.append("elsewhere 5")
        return f"here {part}"

    results = list(in_order(range(7), here, pending.get))
    assert results == ["here 0", "here 1", "elsewhere 2", "here 3", "here 4", "elsewhere 5", "here 6"]
    assert made == [0, 3, 4, 1, 6]


ORPHAN = """
import os, sys, time
from multiprocessing import active_children
from flows_platform.fetch.decoders import Decoders
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.wire.decode.json_blocks import JsonBlock
if __name__ == "__main__":
    decoders = Decoders(2, start_after=0)
    while decoders.submit(FLOWS, None, JsonBlock(b"{}", 0, False, None)) is None:
        time.sleep(0.05)
    print(active_children()[0].pid, flush=True)
    time.sleep(60)
"""


def test_the_second_process_ends_with_the_first_however_that_ends(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = Path("/proc") / parent.stdout.readline().strip()
        assert child.exists()
        parent.kill()
    assert eventually(lambda: not child.exists())
