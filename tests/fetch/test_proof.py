"""The levels of verification: what a format offers, what is required, and what a window reaches."""

from pathlib import Path
from typing import cast

import pytest

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.verification import RowDigest, Value, Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.formats.encoders import for_format
from flows_platform.formats.protocol.encoder import Footer, Row
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS

from .flow_bodies import BOUNDS, row
from .scripted import ScriptedServer, answer

ROWS = [row(number, src_comp=f'é,"{number}') for number in range(1, 51)]
PLAIN = {WireFormat.NDJSON, WireFormat.CSV, WireFormat.ARROW}  # have no footer by themselves


def body(wire: WireFormat, rows: list[dict[str, object]], footer: Footer | None) -> bytes:
    encoder = for_format(wire, FLOWS)
    values = cast("list[Row]", [tuple(row.values()) for row in rows])
    end = encoder.footer(footer) if footer else b""
    records = encoder.encode(values).removeprefix(encoder.lead)
    return encoder.prologue() + records + end + encoder.epilogue()


def digest(rows: list[dict[str, object]]) -> str:
    return RowDigest.of(cast("tuple[Value, ...]", tuple(row.values())) for row in rows).hex


def stage(client: HttpClient, server: ScriptedServer, target: Path, **api: object) -> FetchedWindow:
    declaration = WindowedApi(url=server.url, schema=FLOWS, **api)  # type: ignore[arg-type]
    return fetch_window(client, declaration, BOUNDS, target, max_rejected=5, tries=1)


@pytest.mark.parametrize("wire", list(WireFormat))
def test_a_footer_proves_the_count_in_every_format(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(body(wire, ROWS, Footer(50)), kind=wire.content_type)]
    staged = stage(client, server, target, format=wire, footers=True)
    assert (staged.file.rows, staged.answers.level) == (50, Verification.COUNT)
    assert ("footer=1" in server.requests[0]) == (wire in PLAIN)
    server.scripts = [answer(body(wire, ROWS[:49], Footer(50)), kind=wire.content_type)]
    with pytest.raises(StreamIncomplete, match="footer declares 50 records, but 49 came"):
        stage(client, server, target, format=wire, footers=True)


@pytest.mark.parametrize("wire", list(WireFormat))
def test_an_empty_stream_may_have_a_footer(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    if wire is WireFormat.ARROW:
        encoder = for_format(wire, FLOWS)
        empty = encoder.prologue() + encoder.footer(Footer(0)) + encoder.epilogue()
    else:
        empty = body(wire, [], Footer(0))
    server.scripts = [answer(empty, kind=wire.content_type)]
    assert stage(client, server, target, format=wire, footers=True).file.received == 0


@pytest.mark.parametrize("wire", sorted(PLAIN))
def test_a_footer_that_was_asked_for_must_come(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(body(wire, ROWS, None), kind=wire.content_type, Record_Count="50")]
    with pytest.raises(StreamIncomplete, match="without the requested footer"):
        stage(client, server, target, format=wire, footers=True)
    assert stage(client, server, target, format=wire).file.rows == 50


@pytest.mark.parametrize("wire", [WireFormat.NDJSON, WireFormat.CSV])
def test_a_footer_that_nobody_asked_for_is_a_bad_record(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    server.scripts = [answer(body(wire, ROWS, Footer(50)), kind=wire.content_type, Record_Count="51")]
    assert stage(client, server, target, format=wire).file.rejected == 1


@pytest.mark.parametrize("wire", list(WireFormat))
def test_the_digest_is_asked_for_and_compared(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat
) -> None:
    right, wrong = (Footer(50, digest(rows)) for rows in (ROWS, [*ROWS[:49], row(50, src_comp="changed")]))
    server.scripts = [answer(body(wire, ROWS, right), kind=wire.content_type)]
    staged = stage(client, server, target, format=wire, verification=Verification.DIGEST)
    assert (staged.answers.level, staged.answers.level_reason) == (Verification.DIGEST, "")
    assert "digest=1" in server.requests[0]
    server.scripts = [answer(body(wire, ROWS, wrong), kind=wire.content_type)]
    with pytest.raises(
        StreamIncomplete, match=f"the source's digest is {wrong.digest}, but that of the received rows is"
    ):
        stage(client, server, target, format=wire, verification=Verification.DIGEST)


def test_the_digest_covers_repeats_and_what_lies_outside_the_window(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    rows = [*ROWS, row(50, src_comp='é,"50'), row(60, time=1000)]
    wire = WireFormat.NDJSON
    server.scripts = [answer(body(wire, rows, Footer(52, digest(rows))), kind=wire.content_type)]
    staged = stage(client, server, target, format=wire, verification=Verification.DIGEST)
    assert (staged.file.rows, staged.file.deduplicated, staged.file.rejected) == (50, 1, 1)
    assert staged.answers.level is Verification.DIGEST


def test_with_records_that_cannot_be_cast_the_digest_is_not_claimed(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    wire = WireFormat.NDJSON
    data = body(wire, ROWS, Footer(50, digest(ROWS))).replace(b'"byte_count":46', b'"byte_count":"many"', 1)
    server.scripts = [answer(data, kind=wire.content_type)]
    staged = stage(client, server, target, format=wire, verification=Verification.DIGEST)
    assert (staged.file.rows, staged.file.rejected, staged.answers.level) == (49, 1, Verification.COUNT)
    assert "no digest of rows that cannot be cast, such as record 1: byte_count: 'many'" in staged.answers.level_reason


def test_less_than_the_least_is_an_error(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    wire = WireFormat.NDJSON
    server.scripts = [answer(body(wire, ROWS, Footer(50)), kind=wire.content_type)]
    with pytest.raises(SourceRefused, match="verified to L2 count only, not L3 digest: it declares no digest"):
        stage(client, server, target, format=wire, verification=Verification.DIGEST)
    assert not target.exists()
    assert Verification.UNVERIFIED.label == "L0 unverified"
