"""Windows in pages: all pages, once, in order. A window that changes meanwhile is fetched again; faults are refused."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.time_forms import TimeForm
from flows_platform.domain.errors import (
    ConfigurationError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
    TooManyRejects,
)
from flows_platform.domain.schema import ColumnType, WarehouseTable
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.refusals import Nothing, Refusals, Wait
from flows_platform.fetch.paging import (
    ContinueFrom,
    Cursor,
    Into,
    LinkHeader,
    NamedHeader,
    NextLink,
    Offset,
    PageNumber,
    Paging,
    SinglePage,
)
from flows_platform.fetch.trace import Trace
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.pipeline.reprocess import reprocess_quarantine
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.parquet import footer_of
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine

from .nested_items import DAY, ITEMS, MAPPING, START, TIME, TOTAL, api, body, item, items
from .scripted import Script, ScriptedServer, answer

OFFSET = Offset(start="start", size_parameter="limit", size=3)
NEXT = NextLink(link=RecordPath.parse("next"))


def stage(client: HttpClient, declared: WindowedApi, target: Path, **options: int) -> FetchedWindow:
    return fetch_window(client, declared, DAY, target, **{"tries": 1, **options})  # type: ignore[arg-type]


def ids(target: Path) -> list[int]:
    return [int(value) for value in pq.read_table(target).column("id").to_pylist()]


def asked(server: ScriptedServer) -> list[str]:
    """The requested parameters, without those of every request."""
    queries = [request.split(" ")[1].partition("?")[2] for request in server.requests]
    window = "from=2024-01-01T00%3A00%3A00Z&to=2024-01-02T00%3A00%3A00Z"
    return [query.replace(window, "WINDOW") for query in queries]


def test_pages_by_offset_up_to_the_total(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    pages = [items(1, 3), items(4, 5), items(6, 7)]  # the second is short, but the total says that there is more
    server.scripts = [answer(body(page, total=7)) for page in pages]
    staged = stage(client, api(server, paging=OFFSET, total=TOTAL, verification=Verification.COUNT), target)
    assert ids(target) == [1, 2, 3, 4, 5, 6, 7]
    assert (staged.answers.requests, staged.answers.level) == (3, Verification.COUNT)
    assert asked(server) == ["WINDOW&limit=3&start=0", "WINDOW&limit=3&start=3", "WINDOW&limit=3&start=5"]


def test_pages_by_offset_without_a_total(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(4, 6), [])]
    declared = api(server, paging=Offset(start="start", size_parameter="limit", size=3))
    assert stage(client, declared, target).answers.level is Verification.FRAMING
    assert ids(target) == [1, 2, 3, 4, 5, 6]
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(4, 5), [])]
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
    with pytest.raises(StreamIncomplete, match=r"declares 3 records in all, but 2 came\."):
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
    flat = [[nested["item"] for nested in page] for page in pages]
    sent: Sequence[Sequence[object]] = pages if mapped else flat
    server.scripts = [answer(body(page, next=link)) for page, link in zip(sent, links, strict=True)]
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
    server.scripts = [answer(body(page)) for page in (items(1, 3), items(7, 9), items(10, 10), [])]
    stage(
        client,
        api(server, paging=ContinueFrom(parameter="id_min", column="id", size_parameter="limit", size=3)),
        target,
    )
    assert ids(target) == [1, 2, 3, 7, 8, 9, 10]
    behind = [f"WINDOW&limit=3&id_min={number}" for number in (4, 10, 11)]
    assert asked(server) == ["WINDOW&limit=3", *behind]


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("column", ["id", "seen"])
def test_a_page_continues_only_where_records_are_in_order(
    client: HttpClient, server: ScriptedServer, target: Path, column: str, *, mapped: bool
) -> None:
    def scripts(*pages: tuple[int, ...]) -> list[Script]:
        records = [[item(number) for number in page] for page in pages]
        return [answer(body([nested if mapped else nested["item"] for nested in page])) for page in (*records, [])]

    changes = {} if mapped else {"mapping": None}
    declared = api(server, paging=ContinueFrom(parameter="from_id", column=column, step=0), **changes)
    for whole in [((1, 2), (3,)), ((3, 2), (1,)), ((2, 1, 3), (4, 5)), ((1,), (2,))]:
        server.scripts = scripts(*whole)
        assert stage(client, declared, target).file.rows == len({number for page in whole for number in page})
    for odd in [((3, 2), (3, 1)), ((1, 3, 2),), ((3, 2), (4,), (5, 4))]:
        server.scripts = scripts(*odd)
        with pytest.raises(SourceRefused, match=f"not in the order of {column}: .*Ask the API to sort by {column}"):
            stage(client, declared, target)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ColumnType.NUMERIC, ["0.1", "7", "12345678901234567890.105000001"]),
        (ColumnType.DATE, ["2024-02-29", "2024-03-01", "2024-03-02"]),
    ],
)
def test_pages_continue_from_a_decimal_or_a_date(
    client: HttpClient, server: ScriptedServer, target: Path, kind: ColumnType, values: list[str]
) -> None:
    columns = (replace(ITEMS.columns[0], type=kind), *ITEMS.columns[1:])
    paging = ContinueFrom(parameter="after", column="id", step=0)
    declared = replace(api(server, paging=paging), schema=replace(ITEMS, columns=columns))
    pages = [[item(number, id=value)] for number, value in enumerate(values)]
    server.scripts = [answer(body(page).replace(b'"0.1"', b"0.10")) for page in (*pages, [])]
    assert stage(client, declared, target).file.rows == 3
    assert [query.rpartition("=")[2] for query in asked(server)[1:]] == values
    server.scripts = [answer(body([item(9, id=values[position]) for position in (0, 2, 1)]))]
    with pytest.raises(SourceRefused, match="not in the order of id"):
        stage(client, declared, target)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_page_continues_from_a_reject_where_its_key_can_be_read(
    client: HttpClient, server: ScriptedServer, target: Path, *, mapped: bool
) -> None:
    bad = {number: item(number, seen="soon") for number in (2, 3, 4)}
    pages = [[item(1), bad[2]], [bad[3], bad[4]], [item(5), item(6, id="six", seen="soon")], []]
    server.scripts = [answer(body(page if mapped else [nested["item"] for nested in page])) for page in pages]
    declared = api(
        server,
        paging=ContinueFrom(parameter="id_min", column="id", size_parameter="limit", size=2),
        mapping=MAPPING if mapped else None,
    )
    staged = stage(client, declared, target, max_rejected=4)
    assert (ids(target), staged.file.rejected) == ([1, 5], 4)
    assert [query.rpartition("=")[2] for query in asked(server)] == ["2", "3", "5", "6"]


def test_an_api_that_does_not_heed_its_paging_is_found_out(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    for paging in (Offset(start="start", size_parameter="limit", size=3), PageNumber(parameter="page")):
        server.scripts = [answer(body(items(1, 3))), answer(body(items(1, 3))), answer(body([]))]
        with pytest.raises(StreamIncomplete, match="two pages in a row hold the same 3 records"):
            stage(client, api(server, paging=paging), target)
    assert len(server.requests) == 4


def test_cursors_that_change_while_the_records_do_not_end_at_a_bound(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(body(items(1, 2), next=f"?cursor={number}")) for number in range(99)]
    with pytest.raises(StreamIncomplete, match="11 pages in a row hold the same 2 records"):
        stage(client, api(server, paging=NEXT), target)
    assert len(server.requests) == 11


def test_a_total_that_is_a_lower_bound_is_none(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    declared = api(server, total=RecordPath.parse("hits.total.value"))
    server.scripts = [answer(body(items(1, 2), hits={"total": {"value": 2, "relation": "gte"}}))]
    with pytest.raises(SourceRefused, match=r"the total at hits\.total\.value is 2 or more.*leave `total` out"):
        stage(client, declared, target)
    server.scripts = [answer(body(items(1, 2), hits={"total": {"value": 2, "relation": "eq"}}))]
    assert stage(client, declared, target).answers.level is Verification.COUNT
    server.scripts = [answer(body(items(1, 2), hits={"total": {"value": "10000+"}}))]
    with pytest.raises(SourceRefused, match=r"'10000\+', not a number\. .*leave `total` out"):
        stage(client, declared, target)


def test_empty_pages_with_a_way_on_end_at_a_bound(
    client: HttpClient, server: ScriptedServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows_platform.fetch.pages.EMPTY_PAGES", 3)
    pages: list[Script] = [answer(body([], next=f"?cursor={number}")) for number in range(9)]
    server.scripts = [*pages[:3], answer(body(items(1, 1), next="?cursor=10")), answer(body([]))]
    stage(client, api(server, paging=NEXT), target)
    assert ids(target) == [1]
    server.scripts = pages
    with pytest.raises(SourceRefused, match=r"4 empty pages in a row, each leading to another\. .*`ends: empty`"):
        stage(client, api(server, paging=NEXT), target)
    server.scripts = [answer(body(items(1, 1), next="?cursor=1")), *pages]
    stage(client, api(server, paging=NEXT.model_copy(update={"ends": "empty"})), target)
    assert ids(target) == [1]


UNREAD: list[tuple[dict[str, object], str]] = [
    ({"next": "/2"}, "next"),
    ({"meta": {"nextPageToken": "x"}}, "meta.nextPageToken"),
    ({"@odata.nextLink": "/2"}, '"@odata.nextLink"'),
    ({"a": [{"b": {"NEXT-CURSOR": 7}}]}, "a.b.NEXT-CURSOR"),
    ({"Continuation_Token": "x"}, "Continuation_Token"),
    ({"has_more": True}, "has_more"),
    ({"paging": {"HasMore": "true"}}, "paging.HasMore"),
    ({"more": 1}, "more"),
    ({"cursor": "c"}, "cursor"),
    ({"pageInfo": {"hasNextPage": True}}, "pageInfo.hasNextPage"),
    ({"links": [{"rel": "self", "href": "/1"}, {"rel": "next", "href": "/2"}]}, "links[rel=next]"),
    ({"next": {"href": "/2"}}, "next.href"),
    ({"page": {"isTruncated": True}}, "page.isTruncated"),
    ({"more_results": "true"}, "more_results"),
    ({"last": False}, "last"),
    ({"done": "false"}, "done"),
]


@pytest.mark.parametrize(("around", "place"), UNREAD)
@pytest.mark.parametrize("paging", [SinglePage(), NextLink(link=RecordPath.parse("way.on"))], ids=["none", "misspelt"])
def test_the_last_page_may_say_more_nowhere_that_nothing_reads(  # noqa: PLR0917 - three of them are fixtures
    client: HttpClient, server: ScriptedServer, target: Path, around: dict[str, object], place: str, paging: Paging
) -> None:
    server.scripts = [answer(body(items(1, 2), **around))]
    with pytest.raises(SourceRefused, match=f"{re.escape(place)}.*`paging`.*ignore_envelope") as raised:
        stage(client, api(server, paging=paging), target)
    assert not target.exists()
    ignored = RecordPath.parse(place)
    assert place in str(raised.value)
    trace = Trace()
    fetch_window(client, api(server, paging=paging, ignored=(ignored,)), DAY, target, tries=1, trace=trace)
    assert (ids(target), place in trace.unread) == ([1, 2], True)


@pytest.mark.parametrize("value", [False, None, "false", 0, "", "0", [], {}, {"href": None}])
def test_a_false_flag_says_nothing_of_more(
    client: HttpClient, server: ScriptedServer, target: Path, value: object
) -> None:
    server.scripts = [answer(body(items(1, 2), next=value, has_more=value, nested={"cursor": value}))]
    stage(client, api(server), target)
    assert ids(target) == [1, 2]


def test_the_last_page_may_say_so_by_a_flag_that_nothing_reads(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(body(items(1, 2), last=True, is_last_page="true", done=1, complete=None))]
    stage(client, api(server), target)
    assert ids(target) == [1, 2]


def test_where_a_total_or_a_flag_ended_the_range_nothing_else_is_searched(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    flag = NEXT.model_copy(update={"more": RecordPath.parse("meta.more")})
    server.scripts = [answer(body(items(1, 2), next_cursor="t", total=2, meta={"more": False}))]
    for changes in ({"total": TOTAL}, {"paging": OFFSET, "total": TOTAL}, {"paging": flag}):
        stage(client, api(server, **changes), target)
    with pytest.raises(SourceRefused, match="next_cursor"):
        stage(client, api(server), target)


def test_a_cursor_in_a_header_is_not_passed_over(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    odd = {"X-Next-Page": "2", "X-NextJS-Cache": "HIT", "X-More": "", "X-Has-More": "false"}
    server.scripts = [answer(body(items(1, 2)), **odd)]
    for paging in (SinglePage(), Cursor(cursor=NamedHeader(header="Next-Page"), into=Into(query="after"))):
        with pytest.raises(SourceRefused, match=r"reads: X-Next-Page\..*ignore_envelope: \[X-Next-Page\]"):
            stage(client, api(server, paging=paging), target)
    stage(client, api(server, ignored=(RecordPath.parse("X-Next-Page"),)), target)
    assert ids(target) == [1, 2]


def test_a_link_header_that_cannot_be_read_is_not_passed_over(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(body(items(1, 2)), Link='/items?page=2; rel="next"')]
    with pytest.raises(SourceRefused, match=r"ignore_envelope: \[Link\]"):
        stage(client, api(server), target)
    stage(client, api(server, ignored=(RecordPath.parse("Link"),)), target)
    assert ids(target) == [1, 2]


def test_a_next_link_in_a_header_is_not_passed_over(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body(items(1, 2)), Link='</items>; rel="self", </2>; rel=next')]
    with pytest.raises(SourceRefused, match=r"Link header \(rel=next\).*ignore_envelope: \[Link\]"):
        stage(client, api(server), target)
    stage(client, api(server, ignored=(RecordPath.parse("Link"),)), target)
    lines = b'{"id": 1, "seen": "2024-01-01T00:00:01Z", "name": "a"}\n'
    server.scripts = [answer(lines, kind="application/x-ndjson", Link="</2>; rel=next")]
    with pytest.raises(SourceRefused, match="Link header"):
        stage(client, api(server, format=None, mapping=None, verification=Verification.UNVERIFIED), target)


def moved(*pages: list[dict[str, object]], total: int | None = 4) -> list[Script]:
    around = {} if total is None else {"total": total}
    return [answer(body(page, **around)) for page in pages]


def test_a_repeat_on_another_page_hides_no_record_that_never_came(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    declared = api(
        server,
        paging=Offset(start="start", size_parameter="limit", size=2),
        total=TOTAL,
        verification=Verification.COUNT,
    )
    shifted, clean = moved(items(1, 2), items(2, 3)), moved(items(1, 2), items(3, 4))
    server.scripts = [*shifted]
    with pytest.raises(StreamIncomplete, match="declares 4 records in all, but 4 came, 1 of them more than once"):
        stage(client, declared, target)
    changed = moved(items(1, 2), [item(2, name="other"), item(3)])
    for first in (shifted, changed):
        server.scripts = [*first, *clean]
        staged = stage(client, declared, target, tries=2)
        assert (ids(target), staged.tries, staged.file.deduplicated) == ([1, 2, 3, 4], 2, 0)
    server.scripts = [*changed, *changed]
    with pytest.raises(StreamIncomplete, match="have id 2 and differ"):
        stage(client, declared, target, tries=2)


def test_a_repeated_neighbour_or_reject_hides_no_record_either(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    edge, bad = item(9, seen="2024-01-02T00:00:00Z"), item(8, seen="soon")
    time = TIME.model_copy(update={"before_inclusive": True})
    declared = api(server, paging=Offset(start="start", size_parameter="limit", size=2), total=TOTAL, time=time)
    for twice in (edge, bad):
        server.scripts = moved([item(1), twice], [twice, item(2)])
        with pytest.raises(StreamIncomplete, match="4 came, 1 of them more than once"):
            stage(client, declared, target, max_rejected=2)
    server.scripts = moved([item(1), edge], [bad, item(2)])
    staged = stage(client, declared, target, max_rejected=1)
    assert (ids(target), staged.file.rejected, staged.file.received) == ([1, 2], 1, 3)
    assert footer_of(target).beside == 1


def test_links_that_overlap_are_whole_where_as_many_differ_as_the_total_says(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [
        answer(body(items(1, 2), total=3, next="?p=2")),
        answer(body(items(2, 3), total=3)),
    ]
    staged = stage(client, api(server, paging=NEXT, total=TOTAL, verification=Verification.COUNT), target)
    assert (ids(target), staged.file.deduplicated, staged.answers.level) == ([1, 2, 3], 1, Verification.COUNT)


def test_without_a_total_a_repeat_that_a_second_pull_gives_too_counts_once(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    overlap = [answer(body(items(1, 2), next="?p=2")), answer(body(items(2, 3)))]
    later = [answer(body(items(1, 2), next="?p=2")), answer(body([item(1), *items(3, 4)]))]
    declared = api(server, paging=NEXT)
    server.scripts = [*overlap]
    with pytest.raises(StreamIncomplete, match="1 records came again on a later page"):
        stage(client, declared, target)
    server.scripts = [*overlap, *overlap]
    staged = stage(client, declared, target, tries=5)
    assert (ids(target), staged.file.deduplicated, staged.tries) == ([1, 2, 3], 1, 2)
    server.scripts = [*overlap, *later, *later]  # another one: so the pages did move
    assert (stage(client, declared, target, tries=5).tries, ids(target)) == (3, [1, 2, 3, 4])


def test_records_without_rows_may_not_have_lists_of_objects_in_another_place(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    columns = (("id", "list.id"), ("seen", "list.at"))
    mapping = RecordMapping(
        tuple(ColumnSource(name, ITEMS.column(name).type, (RecordPath.parse(path),)) for name, path in columns),
        each=RecordPath.parse("list"),
    )
    child = {"id": 1, "at": "2024-01-01T00:00:05Z"}
    declared = api(server, mapping=mapping, paging=NEXT)
    for renamed in ({"List": [child]}, {"lists": {"list": [child, child]}}, {"lists": {"list": child}}):
        server.scripts = [answer(body([{"name": "a"}], next="?c=2")), answer(body([{"name": "b"}, renamed]))]
        with pytest.raises(SourceRefused, match=r"no record has 'list', .* there are lists at (L|l)ists?\..*`ignore`"):
            stage(client, declared, target)
    without: list[dict[str, object]] = [{"list": []}, {"list": None}, {"tags": ["a"], "os": {"name": "b"}}, {}]
    for whole in without:
        server.scripts = [answer(body([{"name": "a"}, whole]))]
        assert stage(client, declared, target).file.rows == 0
    server.scripts = [answer(body([{"List": [child]}], next="?c=2")), answer(body([{"list": [child]}]))]
    assert stage(client, replace(declared, extra_column="name"), target).file.rows == 1


def test_a_total_of_parents_is_compared_with_parents(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    def host(number: int, *children: int) -> dict[str, object]:
        return {"host": number, "list": [{"id": child, "at": "2024-01-01T00:00:05Z"} for child in children]}

    columns = (("id", "list.id"), ("seen", "list.at"), ("name", "host"))
    mapping = RecordMapping(
        tuple(ColumnSource(name, ITEMS.column(name).type, (RecordPath.parse(path),)) for name, path in columns),
        each=RecordPath.parse("list"),
    )
    texts = replace(mapping, columns=mapping.columns[:2], ignored=(RecordPath.parse("host"),))
    declared = api(server, paging=Offset(start="start", size_parameter="limit", size=2), total=TOTAL, mapping=texts)
    server.scripts = moved([host(1, 1, 2, 3), host(2)], [host(3, 4)], total=3)
    stage(client, declared, target)
    assert (ids(target), footer_of(target).beside) == ([1, 2, 3, 4], -1)
    server.scripts = moved([host(1, 1), host(2, 2)], [host(2, 2)], total=3) * 2
    with pytest.raises(StreamIncomplete, match="1 records came again on a later page"):
        stage(client, declared, target, tries=2)


def test_no_request_leaves_for_another_origin(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    port = int(server.origin.rpartition(":")[2])
    for link in (f"http://localhost:{port}/items", "https://127.0.0.1/items", "http://127.0.0.1:9/items"):
        server.scripts = [answer(body(items(1, 2), next=link))]
        with pytest.raises(SourceRefused, match="the next page is on another origin"):
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
    cut = NextLink(link=RecordPath.parse("more.url"), truncated=RecordPath.parse("more.code"), code="1980")
    server.scripts = [answer(body(items(1, 2), more={"code": 1980}))]
    with pytest.raises(SourceRefused, match=r"more\.code says that there is more"):
        stage(client, api(server, paging=cut), target)
    server.scripts = [answer(body(items(1, 2), more={"code": 1980, "url": "?id=3"})), answer(body(items(3, 3)))]
    stage(client, api(server, paging=cut), target)
    assert ids(target) == [1, 2, 3]


@pytest.mark.parametrize("wire", [WireFormat.NDJSON, WireFormat.CSV, None])
def test_links_and_totals_are_not_looked_for_where_nothing_stands_around_the_records(
    client: HttpClient, server: ScriptedServer, target: Path, wire: WireFormat | None
) -> None:
    flagged = OFFSET.model_copy(update={"more": TOTAL})
    for changes in ({"paging": NEXT}, {"total": TOTAL}, {"paging": flagged}):
        server.scripts = [answer(b"\n", kind=(wire or WireFormat.NDJSON).content_type)]
        with pytest.raises(ConfigurationError, match="has nothing around the records"):
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
    time = TIME.model_copy(update={"longest_days": 0.5})
    declared = api(server, paging=OFFSET, total=TOTAL, time=time, verification=Verification.COUNT)
    staged = stage(client, declared, target)
    assert (ids(target), staged.answers.level) == ([1, 2, 3, 4, 5], Verification.COUNT)
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
    assert (ids(target), staged.file.rejected) == ([1, 3, 4, 6, 7], 4)
    rejects = list(read_quarantine(quarantine_path(target)))
    assert [reject.position for reject in rejects] == [2, 5, 9, 8]  # of one slice those outside the window come last
    assert [reject.raw.decode() for reject in rejects] == [
        json.dumps(BAD[number], separators=(",", ":")) for number in (0, 1, 3, 2)
    ]
    server.scripts = [answer(body(page, total=9)) for page in pages]
    stream = WindowStream(FetchPlan(client, api(server, paging=OFFSET, total=TOTAL), DAY))
    with pytest.raises(RuntimeError, match="has not ended"):
        stream.result()
    assert [position for casted in stream for position in casted.positions] == [1, 3, 4, 6, 7]
    assert (stream.result().rows, stream.result().rejected, stream.result().total) == (5, 4, 9)


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
    wrong, right = (api(server, mapping=declared) for declared in (mapping(), mapping(seen=TimeForm.SECONDS)))
    assert fetch_window(client, wrong, window, target, max_rejected=3, tries=1).file.rejected == 3
    assert reprocess_quarantine(wrong, window, target).recovered == 0
    reprocessed = reprocess_quarantine(right, window, target)
    assert (reprocessed.recovered, reprocessed.rejected) == (2, 1)
    rows = pq.read_table(target).to_pylist()
    (left,) = read_quarantine(quarantine_path(target))
    assert (left.position, left.reason[:6]) == (2, "seen: ")
    assert json.loads(left.raw) == {"host": 1, "list": {"id": 2, "at": "soon"}}
    fetch_window(client, right, window, target, max_rejected=1, tries=1)
    assert pq.read_table(target).to_pylist() == rows
    assert len(server.requests) == 2


def test_where_bounds_are_not_known_the_neighbours_records_are_let_go_and_positions_rise(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    before, after = (item(off % 99, seen=(START + timedelta(seconds=off)).isoformat()) for off in (-1, 86_400))
    server.scripts = [answer(body(page, total=6)) for page in ([before, item(1), BAD[0]], [item(3), BAD[1], after])]
    time = TIME.model_copy(update={"exact": False})
    declared = api(server, paging=OFFSET, total=TOTAL, time=time, verification=Verification.COUNT)
    staged = stage(client, declared, target, max_rejected=2)
    assert (ids(target), staged.file.rejected, staged.answers.level) == ([1, 3], 2, Verification.COUNT)
    assert [reject.position for reject in read_quarantine(quarantine_path(target))] == [3, 5]
    assert "from=2023-12-31T23%3A59%3A59Z&to=2024-01-02T00%3A00%3A00Z" in server.requests[0]


def test_an_untaken_field_is_not_let_go(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(body([item(1), item(2, colour={"deep": [1, 2]})]))]
    with pytest.raises(TooManyRejects, match=r"unknown field '\$\.item\.colour'"):
        stage(client, api(server), target)
    known = replace(MAPPING, ignored=(RecordPath.parse("item.colour"),))
    stage(client, api(server, mapping=known), target)
    assert ids(target) == [1, 2]


ERRORS = Refusals(
    document=ErrorDocument(message=RecordPath.parse("error"), code=RecordPath.parse("code"), transient=("busy",)),
    waiting=Wait(headers=("X-Wait",)),
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
    time = TIME.model_copy(update={"longest_days": 0.5})
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
    for changes in (
        {},
        {"paging": NEXT, "total": TOTAL},
        {"paging": Offset(start="start", size_parameter="limit", size=3)},
    ):
        assert count_records(client, api(server, **changes), DAY, tries=1) is None
    assert server.requests == []


def test_a_right_window_agrees_with_the_sources_count_of_neighbours_and_of_parents(
    client: HttpClient, server: ScriptedServer, tmp_path: Path
) -> None:
    edge = [item(9, seen="2024-01-01T12:00:00Z"), item(10, seen="2024-01-02T00:00:00Z")]
    time = TIME.model_copy(update={"before_inclusive": True, "longest_days": 0.5})
    pieces = [answer(body([item(1), edge[0]], total=2)), answer(body(edge, total=2))]
    numbered = api(
        server, paging=PageNumber(parameter="page", first=1, size_parameter="limit", size=3), total=TOTAL, time=time
    )
    assert counted(client, server, numbered, tmp_path / "edges", pieces) == (2, 2)

    hosts = [{"host": 1, "list": [{"id": child, "at": "2024-01-01T00:00:05Z"} for child in (1, 2, 3)]}, {"host": 2}]
    columns = (("id", "list.id"), ("seen", "list.at"))
    mapping = RecordMapping(
        tuple(ColumnSource(name, ITEMS.column(name).type, (RecordPath.parse(path),)) for name, path in columns),
        each=RecordPath.parse("list"),
        ignored=(RecordPath.parse("host"),),
    )
    parents = api(server, paging=OFFSET, total=TOTAL, mapping=mapping)
    assert counted(client, server, parents, tmp_path / "hosts", [answer(body(hosts, total=2))]) == (3, 3)


def counted(
    client: HttpClient, server: ScriptedServer, declared: WindowedApi, folder: Path, answers: list[bytes]
) -> tuple[int, int | None]:
    """A window's rows, and the source's own count of them."""
    table = WarehouseTable(ITEMS, ())
    warehouse = Warehouse(bigquery.Client("p", AnonymousCredentials()), "d", "US", folder)
    pipeline = WindowPipeline(api=declared, client=client, folder=folder, tries=1, table=table, warehouse=warehouse)
    server.scripts = [*answers, *answers]
    return pipeline.fetch(DAY).file.rows, pipeline.source_count(DAY)


@pytest.mark.parametrize("paging", [NEXT, NextLink(link=RecordPath.parse("next"), more=RecordPath.parse("more"))])
def test_a_page_that_another_leads_to_does_not_end_the_range_by_an_error(
    client: HttpClient, server: ScriptedServer, target: Path, paging: NextLink
) -> None:
    gone = answer(b"{}", status="404 Not Found")
    declared = api(server, paging=paging, refusals=Refusals(nothing=Nothing(frozenset({404}))))
    server.scripts = [answer(body(items(1, 2), next="?cursor=2", more=True)), gone]
    with pytest.raises(StreamIncomplete, match=r"the page before leads to one that says: .*404.*`ends: empty`"):
        stage(client, declared, target)
    server.scripts = [gone]
    stage(client, declared, target)
    assert ids(target) == []
    server.scripts = [answer(body(items(1, 2), next="?cursor=2")), gone]
    stage(client, replace(declared, paging=NEXT.model_copy(update={"ends": "empty"})), target)
    assert ids(target) == [1, 2]


@pytest.mark.parametrize(
    ("around", "place"),
    [
        ({"incomplete_results": True}, "incomplete_results"),
        ({"meta": {"isPartial": "true"}}, "meta.isPartial"),
        ({"timed_out": True, "total": 2}, "timed_out"),
        ({"total_count": 3}, "total_count"),
        ({"page": {"totalElements": 619}}, "page.totalElements"),
        ({"pages": 7}, "pages"),
    ],
)
def test_an_answer_may_say_that_it_is_a_part(
    client: HttpClient, server: ScriptedServer, target: Path, around: dict[str, object], place: str
) -> None:
    server.scripts = [answer(body(items(1, 2), **around))]
    with pytest.raises(StreamIncomplete, match=rf"{place} is .*ignore_envelope: \[{place}\]"):
        stage(client, api(server), target)
    assert not target.exists()
    stage(client, api(server, ignored=(RecordPath.parse(place),)), target)
    assert ids(target) == [1, 2]


@pytest.mark.parametrize(
    "around", [{"incomplete_results": False}, {"timed_out": "false"}, {"total": 2}, {"totals": 1.5}, {"pages": 1}]
)
def test_an_answer_may_say_that_it_is_whole(
    client: HttpClient, server: ScriptedServer, target: Path, around: dict[str, object]
) -> None:
    server.scripts = [answer(body(items(1, 2), **around))]
    stage(client, api(server), target)
    assert ids(target) == [1, 2]
