"""Windows that come in pages: all of them, once, in order; what changes meanwhile is fetched anew, the rest refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import (
    ConfigurationError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
    TooManyRejects,
)
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.counting import count_records
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.paging import ContinueFrom, LinkHeader, NextLink, Offset
from flows_platform.fetch.records import WindowStream
from flows_platform.fetch.refusals import Refusals
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.quarantine_replay import replay_quarantine
from flows_platform.staging import StagedWindow, stage_window
from flows_platform.stores.quarantine import quarantine_path, read_quarantine
from flows_platform.wire.decode.envelope import ErrorDocument
from flows_platform.wire.formats import WireFormat
from flows_platform.wire.mapping import ColumnSource, RecordMapping, TimeForm
from flows_platform.wire.paths import RecordPath

from .nested_items import DAY, ITEMS, MAPPING, START, TIME, TOTAL, api, body, item, items
from .scripted import ScriptedServer, answer

OFFSET = Offset("start", "limit", 3, TOTAL)
NEXT = NextLink(RecordPath.parse("next"))


def stage(client: HttpClient, declared: WindowedApi, target: Path, **options: int) -> StagedWindow:
    return stage_window(client, declared, DAY, target, **{"tries": 1, **options})  # type: ignore[arg-type]


def ids(target: Path) -> list[int]:
    return [int(each) for each in pq.read_table(target).column("id").to_pylist()]


def asked(server: ScriptedServer) -> list[str]:
    """What was asked for, without what every request says."""
    queries = [request.split(" ")[1].partition("?")[2] for request in server.requests]
    window = "from=2024-01-01T00%3A00%3A00Z&to=2024-01-02T00%3A00%3A00Z"
    return [query.replace(window, "WINDOW") for query in queries]


def test_pages_by_offset_up_to_the_total(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    pages = [items(1, 3), items(4, 5), items(6, 7)]  # the second is short, but the total says that there is more
    server.scripts = [answer(body(page, total=7)) for page in pages]
    staged = stage(client, api(server, paging=OFFSET, total=TOTAL, verification=Verification.COUNT), target)
    assert ids(target) == [1, 2, 3, 4, 5, 6, 7]
    assert (staged.requests, staged.verification) == (3, Verification.COUNT)
    assert asked(server) == ["WINDOW&limit=3&start=0", "WINDOW&limit=3&start=3", "WINDOW&limit=3&start=5"]


def test_pages_by_offset_without_a_total(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(4, 6), [])]
    declared = api(server, paging=Offset("start", "limit", 3))
    assert stage(client, declared, target).verification is Verification.FRAMING
    assert ids(target) == [1, 2, 3, 4, 5, 6]
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(4, 5))]
    with pytest.raises(SourceRefused, match="verified to L1 framing only"):
        stage(client, replace(declared, verification=Verification.COUNT), target)


def test_a_total_that_changes_between_pages_starts_the_window_anew(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    first = [answer(body(items(1, 3), total=5)), answer(body(items(4, 6), total=6))]
    again = [answer(body(items(1, 3), total=6)), answer(body(items(4, 6), total=6))]
    declared = api(server, paging=OFFSET, total=TOTAL, verification=Verification.COUNT)
    server.scripts = [*first]
    with pytest.raises(StreamIncomplete, match="declared 5 records, and 6 a page later"):
        stage(client, declared, target)
    assert list(target.parent.iterdir()) == []
    server.scripts = [*first, *again]
    assert stage(client, declared, target, tries=2).tries == 2
    assert ids(target) == [1, 2, 3, 4, 5, 6]


def test_a_total_that_is_not_reached_or_passed_is_refused(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    declared = api(server, paging=OFFSET, total=TOTAL)
    server.scripts = [answer(body(items(1, 3), total=5)), answer(body([], total=5))]
    with pytest.raises(SourceRefused, match="empty page at record 3, although there are 5"):
        stage(client, declared, target)
    server.scripts = [answer(body(items(1, 3), total=2))]
    with pytest.raises(StreamIncomplete, match="declares 2 records in all, but 3 came"):
        stage(client, declared, target)
    server.scripts = [answer(body(items(1, 2), total=3, next=""))]
    with pytest.raises(StreamIncomplete, match="declares 3 records in all, but 2 came"):
        stage(client, replace(declared, paging=NEXT), target)
    server.scripts = [answer(body(items(1, 2), total="9" * 5000))]
    with pytest.raises(SourceRefused, match="not a number"):
        stage(client, declared, target)
    assert not target.exists()


@pytest.mark.parametrize("mapped", [True, False])
def test_pages_by_links_in_the_document(
    client: HttpClient, server: ScriptedServer, target: Path, *, mapped: bool
) -> None:
    pages = [items(1, 2), items(3, 4), items(5, 5)]
    links = [f"{server.origin}/items?cursor=a", "?cursor=b", None]
    flat = [[each["item"] for each in page] for page in pages]
    server.scripts = [
        answer(body(page, next=link))  # type: ignore[arg-type]
        for page, link in zip(pages if mapped else flat, links, strict=True)
    ]
    stage(client, api(server, paging=NEXT, mapping=MAPPING if mapped else None), target)
    assert ids(target) == [1, 2, 3, 4, 5]
    assert asked(server) == ["WINDOW", "cursor=a", "cursor=b"]


def test_pages_by_links_in_the_header(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [
        answer(body(items(1, 2)), Link='</items?cursor=b>; rel="next", </items>; rel="first"'),
        answer(body(items(3, 4)), Link='</items>; rel="first"'),
    ]
    stage(client, api(server, paging=LinkHeader()), target)
    assert (ids(target), asked(server)) == ([1, 2, 3, 4], ["WINDOW", "cursor=b"])


def test_pages_that_continue_from_the_last_record(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(7, 9), items(10, 10))]
    stage(client, api(server, paging=ContinueFrom("id_min", "id", "limit", 3)), target)
    assert ids(target) == [1, 2, 3, 7, 8, 9, 10]
    assert asked(server) == ["WINDOW&limit=3", "WINDOW&limit=3&id_min=4", "WINDOW&limit=3&id_min=10"]


def test_no_request_leaves_for_another_origin(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    port = int(server.origin.rpartition(":")[2])
    for link in (f"http://localhost:{port}/items", "https://127.0.0.1/items", "http://127.0.0.1:9/items"):
        server.scripts = [answer(body(items(1, 2), next=link))]
        with pytest.raises(SourceRefused, match="the next page lies on another origin"):
            stage(client, api(server, paging=NEXT), target)
    assert len(server.requests) == 3


def test_the_same_page_is_not_read_twice(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    for link in ("?cursor=a", "?cursor=a#2"):
        server.scripts = [
            answer(body(items(1, 2), next="?cursor=a")),
            answer(body(items(3, 4), next=link)),
            answer(body([])),
        ]
        with pytest.raises(SourceRefused, match="the next page is one that was read before"):
            stage(client, api(server, paging=NEXT), target)
    assert len(server.requests) == 4


def test_a_cut_answer_without_a_link_is_refused(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    cut = NextLink(RecordPath.parse("more.url"), RecordPath.parse("more.code"), "1980")
    server.scripts = [answer(body(items(1, 2), more={"code": 1980}))]
    with pytest.raises(SourceRefused, match="is cut"):
        stage(client, api(server, paging=cut), target)
    server.scripts = [answer(body(items(1, 2), more={"code": 1980, "url": "?id=3"})), answer(body(items(3, 3)))]
    stage(client, api(server, paging=cut), target)
    assert ids(target) == [1, 2, 3]


@pytest.mark.parametrize("wire", [WireFormat.NDJSON, WireFormat.CSV, None])
def test_links_and_totals_are_not_looked_for_where_nothing_stands_around_the_records(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat | None
) -> None:
    for changes in ({"paging": NEXT}, {"total": TOTAL}, {"paging": OFFSET}):
        server.scripts = [answer(b"", kind=(wire or WireFormat.NDJSON).content_type)]
        with pytest.raises(ConfigurationError, match="nothing stands around the records"):
            stage(client, api(server, format=wire, verification=Verification.UNVERIFIED, **changes), target)


def test_long_windows_are_asked_for_in_ranges_each_with_its_pages(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    later = [item(number, seen=(START + timedelta(hours=13)).isoformat()) for number in (4, 5)]
    server.scripts = [
        answer(body(items(1, 2), total=3)),
        answer(body(items(3, 3), total=3)),
        answer(body(later, total=2)),
    ]
    time = replace(TIME, longest=timedelta(hours=12))
    declared = api(server, paging=OFFSET, total=TOTAL, time=time, verification=Verification.COUNT)
    staged = stage(client, declared, target)
    assert (ids(target), staged.verification) == ([1, 2, 3, 4, 5], Verification.COUNT)
    spans = [request.split("from=")[1].split("&limit")[0] for request in server.requests]
    assert spans == [
        "2024-01-01T00%3A00%3A00Z&to=2024-01-01T12%3A00%3A00Z",
        "2024-01-01T00%3A00%3A00Z&to=2024-01-01T12%3A00%3A00Z",
        "2024-01-01T12%3A00%3A00Z&to=2024-01-02T00%3A00%3A00Z",
    ]


BAD = [item(2, id="two"), item(5, seen="soon"), item(8, seen="2030-01-01T00:00:00Z"), item(9, colour="red")]


def test_records_of_all_pages_have_rising_positions_and_are_kept_as_they_were_sent(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    pages = [[item(1), BAD[0], item(3)], [item(4), BAD[1], item(6)], [item(7), BAD[2], BAD[3]]]
    server.scripts = [answer(body(page, total=9)) for page in pages]
    staged = stage(client, api(server, paging=OFFSET, total=TOTAL), target, max_rejected=4)
    assert (ids(target), staged.rejected) == ([1, 3, 4, 6, 7], 4)
    rejects = list(read_quarantine(quarantine_path(target)))
    assert [each.position for each in rejects] == [2, 5, 9, 8]  # of one slice those outside the window come last
    assert [each.raw.decode() for each in rejects] == [
        json.dumps(BAD[number], separators=(",", ":")) for number in (0, 1, 3, 2)
    ]
    server.scripts = [answer(body(page, total=9)) for page in pages]
    stream = WindowStream(client, api(server, paging=OFFSET, total=TOTAL), DAY)
    assert [position for casted in stream.batches() for position in casted.positions] == [1, 3, 4, 6, 7]


def test_quarantined_parts_are_mapped_again_after_a_fix_as_if_fetched_anew(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    children = [
        {"host": 1, "list": [{"id": 1, "at": 5}, {"id": 2, "at": "soon"}]},
        {"host": 2, "list": {"id": 3, "at": 7}},
    ]
    paths = {"id": "list.id", "seen": "list.at", "name": "host"}

    def mapping(**times: TimeForm) -> RecordMapping:
        columns = tuple(
            ColumnSource(name, ITEMS.column(name).type, (RecordPath.parse(path),), time=times.get(name, TimeForm.ISO))
            for name, path in paths.items()
        )
        return RecordMapping(columns, each=RecordPath.parse("list"))

    server.scripts = [answer(body(children))]
    window = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))
    wrong, right = (api(server, mapping=each) for each in (mapping(), mapping(seen=TimeForm.SECONDS)))
    assert stage_window(client, wrong, window, target, max_rejected=3, tries=1).rejected == 3
    assert replay_quarantine(wrong, window, target).recovered == 0
    replayed = replay_quarantine(right, window, target)
    assert (replayed.recovered, replayed.rejected) == (2, 1)
    rows = pq.read_table(target).to_pylist()
    (left,) = read_quarantine(quarantine_path(target))
    assert (left.position, left.reason[:6]) == (2, "seen: ")
    assert json.loads(left.raw) == {"host": 1, "list": {"id": 2, "at": "soon"}}
    stage_window(client, right, window, target, max_rejected=1, tries=1)
    assert pq.read_table(target).to_pylist() == rows
    assert len(server.requests) == 2


def test_where_bounds_are_not_known_the_neighbours_records_are_let_go_and_positions_rise(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    before, after = (item(9, seen=(START + timedelta(seconds=off)).isoformat()) for off in (-1, 86_400))
    server.scripts = [answer(body(page, total=6)) for page in ([before, item(1), BAD[0]], [item(3), BAD[1], after])]
    time = replace(TIME, exact=False)
    declared = api(server, paging=OFFSET, total=TOTAL, time=time, verification=Verification.COUNT)
    staged = stage(client, declared, target, max_rejected=2)
    assert (ids(target), staged.rejected, staged.verification) == ([1, 3], 2, Verification.COUNT)
    assert [each.position for each in read_quarantine(quarantine_path(target))] == [3, 5]
    assert "from=2023-12-31T23%3A59%3A59Z&to=2024-01-02T00%3A00%3A00Z" in server.requests[0]


def test_an_untaken_field_is_not_let_go(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body([item(1), item(2, colour={"deep": [1, 2]})]))]
    with pytest.raises(TooManyRejects, match=r"unknown field '\$\.item\.colour'"):
        stage(client, api(server), target)
    known = replace(MAPPING, ignored=(RecordPath.parse("item.colour"),))
    stage(client, api(server, mapping=known), target)
    assert ids(target) == [1, 2]


ERRORS = Refusals(
    document=ErrorDocument(RecordPath.parse("error"), RecordPath.parse("code"), None, frozenset({"busy"})),
    wait_headers=("X-Wait",),
)


def test_an_error_document_on_a_later_page_ends_the_try_by_its_code(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    declared = api(server, paging=OFFSET, total=TOTAL, refusals=ERRORS)
    busy = answer(b'{"error": "later", "code": "busy"}', X_Wait="7")
    first, second = answer(body(items(1, 3), total=4)), answer(body(items(4, 4), total=4))
    server.scripts = [first, busy]
    with pytest.raises(SourceUnavailable, match="an error busy: later") as raised:
        stage(client, declared, target)
    assert raised.value.retry_after == 7.0
    server.scripts = [first, busy, first, second]
    assert stage(client, declared, target, tries=2).tries == 2
    assert ids(target) == [1, 2, 3, 4]
    server.scripts = [first, answer(b'{"error": "no such field", "code": 7}'), first]
    with pytest.raises(SourceRefused, match="an error 7: no such field"):
        stage(client, declared, target, tries=2)
    assert len(server.requests) == 2 + 4 + 2


def test_the_source_is_counted_by_the_total_beside_one_record(client: HttpClient, server: ScriptedServer) -> None:
    time = replace(TIME, longest=timedelta(hours=12))
    declared = api(server, paging=OFFSET, total=TOTAL, time=time)
    server.scripts = [answer(body(items(1, 1), total=7)), answer(body([], total=0))]
    assert count_records(client, declared, DAY, tries=1) == 7
    assert all("limit=1&" in request or "limit=1 " in request for request in server.requests)
    assert len(server.requests) == 2
    server.scripts = [answer(b"", status="503 Busy"), answer(body(items(1, 1), total=7)), answer(body([], total=0))]
    assert count_records(client, declared, DAY, tries=2) == 7
    server.scripts = [answer(body(items(1, 1)))]
    with pytest.raises(SourceRefused, match="no total number of records"):
        count_records(client, declared, DAY, tries=1)


def test_a_source_that_tells_no_count_is_not_asked(client: HttpClient, server: ScriptedServer) -> None:
    for changes in ({}, {"paging": NEXT, "total": TOTAL}, {"paging": Offset("start", "limit", 3)}):
        assert count_records(client, api(server, **changes), DAY, tries=1) is None
    assert server.requests == []
