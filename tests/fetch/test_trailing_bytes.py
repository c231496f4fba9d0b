"""Bytes after a document that ends by itself are not ignored."""

from pathlib import Path

import pyarrow as pa
import pytest

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS

from .flow_bodies import BOUNDS, row
from .scripted import ScriptedServer, answer


def test_bytes_after_the_end_of_an_arrow_stream_are_refused(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist([row(1)])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes() + b"\0more" * 200_000
    server.scripts = [answer(body, kind=WireFormat.ARROW.content_type, Record_Count="1")]
    api = WindowedApi(url=server.url, schema=FLOWS, format=WireFormat.ARROW)
    with pytest.raises(SourceRefused, match="follow the end"):
        fetch_window(client, api, BOUNDS, target, tries=1)
    assert not target.exists()
