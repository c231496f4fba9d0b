"""A window by templates and by the reference alone: the same files and the same complaints in every format."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.formats.csv.blocks import CsvReader
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.formats.templates.blocks import Proven, TemplateReader
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.quarantine import quarantine_path

from .flow_bodies import BOUNDS, json_body, row, xml_body
from .scripted import ScriptedServer, answer

ROWS = [row(number, time=50) for number in range(1, 80_001)]
BAD = {number: {"byte_count": f"x{number}"} for number in (7, 15_000, 15_001, 22_345)}  # in blocks, but the first


def ndjson_body(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_body(rows: list[dict[str, object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([FLOWS.names, *(row.values() for row in rows)])
    return text.getvalue().encode()


BODIES: dict[WireFormat, Callable[[list[dict[str, object]]], bytes]] = {
    WireFormat.JSON: json_body,
    WireFormat.NDJSON: ndjson_body,
    WireFormat.XML: xml_body,
    WireFormat.CSV: csv_body,
}


def stage(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat, parser: Parser = Parser.TEMPLATE
) -> FetchedWindow:
    api = WindowedApi(url=server.url, schema=FLOWS, format=wire, parser=parser)
    return fetch_window(client, api, BOUNDS, target, max_rejected=10, tries=1)


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> list[Proven]:
    """The blocks that the templates prove."""
    found: list[Proven] = []
    for kind in (TemplateReader, CsvReader):
        monkeypatch.setattr(kind, "proved", lambda _, block: found.append(block))
    return found


@pytest.mark.parametrize("wire", BODIES)
def test_both_give_the_same_files(
    client: HttpClient, server: ScriptedServer, tmp_path: Path, wire: WireFormat, proven: list[Proven]
) -> None:
    body = BODIES[wire]([row | BAD.get(place, {}) for place, row in enumerate(ROWS, start=1)])
    server.scripts = [answer(body, kind=wire.content_type, Record_Count=str(len(ROWS)))] * 2
    files = {parser: tmp_path / f"{parser}.parquet" for parser in Parser}
    staged = {parser: stage(client, server, file, wire, parser) for parser, file in files.items()}
    for window in staged.values():
        assert (window.file.rows, window.file.rejected) == (len(ROWS) - len(BAD), len(BAD))
    assert pq.read_table(files[Parser.TEMPLATE]).equals(pq.read_table(files[Parser.REFERENCE]))
    quarantines = [quarantine_path(file).read_bytes() for file in files.values()]
    assert quarantines[0] == quarantines[1]
    assert sum(block.batch.num_rows for block in proven if block.batch) > 10_000


SPOILT: dict[str, tuple[Callable[[bytes], bytes], type[Exception]]] = {
    "not valid JSON": (lambda body: body.replace(b'"id": 20000,', b'"id": 20000 '), MalformedDocument),
    "repeat keys": (lambda body: body.replace(b'"id": 20000,', b'"id": 0, "id": 20000,'), SourceRefused),
    "ends early": (lambda body: body[: len(body) - 300_000], StreamIncomplete),
    "80,000 came": (lambda body: body.replace(b'"count": 80000', b'"count": 80001'), StreamIncomplete),
}


@pytest.mark.parametrize("parser", Parser)
@pytest.mark.parametrize("says", SPOILT)
def test_what_is_wrong_behind_proven_blocks_is_said_as_ever(
    client: HttpClient, server: ScriptedServer, target: Path, says: str, parser: Parser
) -> None:
    spoil, error = SPOILT[says]
    server.scripts = [answer(spoil(json_body(ROWS)), kind=WireFormat.JSON.content_type)]
    with pytest.raises(error, match=says):
        stage(client, server, target, WireFormat.JSON, parser)
    assert not target.exists()


@pytest.mark.slow
@pytest.mark.parametrize("parser", Parser)
@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.XML])
def test_a_total_beside_flat_records_is_read(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat, parser: Parser
) -> None:
    rows = ROWS[:20_000]
    json_text = json.dumps({"total": "20001", "records": rows, "end": {"count": len(rows)}}).encode()
    xml_text = xml_body(rows).replace(b"<records>", b"<records><total>20001</total>", 1)
    server.scripts = [answer(json_text if wire is WireFormat.JSON else xml_text, kind=wire.content_type)]
    api = WindowedApi(url=server.url, schema=FLOWS, format=wire, parser=parser, total=RecordPath.parse("total"))
    with pytest.raises(StreamIncomplete, match=r"declares 20,001 records in all, but 20,000 came\."):
        fetch_window(client, api, BOUNDS, target, tries=1)
