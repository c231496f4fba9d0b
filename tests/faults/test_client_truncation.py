"""A document cut anywhere raises, however its transfer ends; the old file stays. 17 framings, 2 formats, 20 cuts."""

import random
import re
from pathlib import Path

import pytest

from flows_platform.domain.errors import PlatformError, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.faults.framings import END, FRAMINGS, chunked
from tests.faults.scale import scaled
from tests.fetch.flow_bodies import BOUNDS, json_body, row, xml_body
from tests.fetch.scripted import scripted_server

ROWS = [row(number) for number in range(1, 41)]
BODIES = {WireFormat.JSON: json_body(ROWS), WireFormat.XML: xml_body(ROWS)}
BOUNDARIES = {WireFormat.JSON: rb"\}(?=, \{)", WireFormat.XML: rb"</record>"}
CUTS = 20


def cuts(wire: WireFormat) -> list[int]:
    """Half of them between two records, where nothing but the missing end shows; the other half anywhere."""
    body, seeded = BODIES[wire], random.Random(0)
    between = [match.end() for match in re.finditer(BOUNDARIES[wire], body)]
    chosen = seeded.sample(between, CUTS // 2) + seeded.sample(range(1, len(body) - 1), CUTS // 2)
    seeded.shuffle(chosen)
    return chosen[: scaled(CUTS, 3)]


@pytest.mark.faults
@pytest.mark.parametrize("framing", list(FRAMINGS))
@pytest.mark.parametrize("wire", list(BODIES))
def test_every_cut_raises_and_the_old_file_stays(tmp_path: Path, wire: WireFormat, framing: str) -> None:
    target = tmp_path / "window.parquet"
    target.write_bytes(b"old")
    survived = []
    with scripted_server() as server:
        # The framing level: no count helps, the end of the document alone must show it.
        api = WindowedApi(url=server.url, schema=FLOWS, format=wire, verification=Verification.FRAMING)
        client = HttpClient()
        for cut in cuts(wire):
            server.scripts = [FRAMINGS[framing](wire.content_type, BODIES[wire][:cut], BODIES[wire])]
            try:
                fetch_window(client, api, BOUNDS, target, tries=1)
            except PlatformError:
                assert [path.name for path in tmp_path.iterdir()] == [target.name]
            else:
                survived.append(cut)
        client.close()
    assert survived == []
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("wire", list(BODIES))
def test_a_document_closed_over_missing_records_is_seen_by_its_count(tmp_path: Path, wire: WireFormat) -> None:
    whole, part = BODIES[wire], ROWS[:25]
    closed = json_body(part, count=40) if wire is WireFormat.JSON else xml_body(part, end='<?end count="40"?>')
    assert len(closed) < len(whole)
    with scripted_server() as server:
        server.scripts = [chunked(wire.content_type, closed) + END]
        api = WindowedApi(url=server.url, schema=FLOWS, format=wire)
        with pytest.raises(StreamIncomplete, match="footer declares 40 records, but 25 came"):
            fetch_window(HttpClient(), api, BOUNDS, tmp_path / "window.parquet", tries=1)
    assert list(tmp_path.iterdir()) == []
