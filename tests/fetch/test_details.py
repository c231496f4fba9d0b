"""Lists of ids, whose records come by further requests: one to one, or the window fails."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.details import IdList
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.trace import Trace
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from tests.fakes.serving import Answer, Asked, Fault
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, api_of, declared

OFFSET = {"kind": "offset", "start": "skip", "size_parameter": "limit", "size": 3}


def record(number: int) -> dict[str, object]:
    return {"id": number, "at": f"2024-03-01T00:00:{number:02}Z"}


class Things:
    """A list of ids by offset, and their records by POST or one at a time."""

    def __init__(self, ids: list[Any], *, total: int | None = None) -> None:
        self.ids = ids
        self.total = total
        self.records: Callable[[list[Any]], list[Any]] = lambda ids: [record(int(found)) for found in ids]
        self.asked: list[list[Any]] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/list":
            skip, limit = (int(asked.parameters.get(name, default)) for name, default in (("skip", 0), ("limit", 99)))
            total = {} if self.total is None else {"total": self.total}
            return document({"data": self.ids[skip : skip + limit]} | total)
        ids = json.loads(asked.body)["ids"] if asked.body else [asked.path.rpartition("/")[2]]
        self.asked.append(ids)
        return document({"resources": self.records(ids)})


def several(server: SmallServer, **keys: object) -> dict[str, object]:
    usual = {"url": f"{server.origin}/records", "method": "POST", "body": {"ids": "{ids}"}, "batch": 4}
    return {**usual, "records": "resources", **keys}


def single(server: SmallServer, **keys: object) -> dict[str, object]:
    return {"url": f"{server.origin}/records/{{id}}", "records": "resources", **keys}


def staged(
    client: HttpClient, api: WindowedApi, target: Path, *, tries: int = 1, limit: int | None = None
) -> tuple[FetchedWindow, Trace]:
    trace = Trace()
    return fetch_window(client, api, DAY, target, tries=tries, trace=trace, limit=limit), trace


def ids(target: Path) -> list[int]:
    return [int(value) for value in pq.read_table(target).column("id").to_pylist()]


def test_ids_are_asked_for_in_batches_over_the_pages(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things([1, 2, 3, 4, 5, 6, 7], total=7)
    with SmallServer(things) as server:
        api = declared(
            tmp_path,
            f"{server.origin}/list",
            paging=OFFSET,
            total="total",
            verification="count",
            details=several(server),
        )
        fetched, trace = staged(client, api, target)
        assert count_records(client, api, DAY) == 7
    assert things.asked == [[1, 2, 3, 4], [5, 6, 7]]
    assert ids(target) == [1, 2, 3, 4, 5, 6, 7]
    assert (fetched.answers.requests, fetched.answers.level, fetched.answers.total) == (5, Verification.COUNT, 7)
    assert (fetched.answers.counted, fetched.answers.beside) == (7, 0)
    assert [request.records for request in trace.requests] == [3, 3, 1, 4, 3]
    assert trace.ended == "total reached: 7"


def test_one_id_at_a_time_is_encoded_and_an_object_is_a_record(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    names = ["a/b c", "100%", "?x=1&y", "ü{start}"]

    def one(asked: Asked) -> Answer:
        if asked.path == "/list":
            return document({"data": names})
        return document({"resource": {"id": names[len(server.requests) - 2], "at": record(1)["at"], "item": [1, 2]}})

    with SmallServer(one) as server:
        details = {"url": f"{server.origin}/things/{{id}}/{{start:%Y%m%dT%H}}", "records": "resource"}
        api = {"url": f"{server.origin}/list", "format": "json", "records": "data", "details": details}
        columns = [{"name": "id", "required": True}, {"name": "at", "type": "timestamp", "required": True}]
        keys = {"api": api | {"time": {"after": "from", "before": "to"}}, "columns": columns, "ignore": ["item"]}
        named: dict[str, object] = {
            "name": "things",
            "time": "at",
            "key": "id",
            "partitions": {"start": "2024-03-01T00:00:00"},
        }
        staged(client, api_of(tmp_path, named | keys), target)
    assert pq.read_table(target).column("id").to_pylist() == names
    assert [asked.target for asked in server.requests[1:]] == [
        "/things/a%2Fb%20c/20240301T00",
        "/things/100%25/20240301T00",
        "/things/%3Fx%3D1%26y/20240301T00",
        "/things/%C3%BC%7Bstart%7D/20240301T00",
    ]


@pytest.mark.parametrize("root", ["", "item"])
def test_a_whole_document_is_one_record(client: HttpClient, tmp_path: Path, target: Path, root: str) -> None:
    def one(asked: Asked) -> Answer:
        if asked.path == "/list":
            return document({"data": [7]})
        return document({root: record(7)} if root else record(7))

    with SmallServer(one) as server:
        details = {"url": f"{server.origin}/{{id}}", "records": root}
        staged(client, declared(tmp_path, f"{server.origin}/list", details=details), target)
    assert ids(target) == [7]


def test_ids_of_objects_go_into_a_query_with_commas(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things([{"thing": {"id": number}} for number in (1, 2, 3)])

    def answered(asked: Asked) -> Answer:
        if asked.path == "/list":
            return things(asked)
        return document({"data": [record(int(found)) for found in asked.parameters["ids"].split(",")]})

    with SmallServer(answered) as server:
        details = {"url": f"{server.origin}/records?ids={{ids}}&until={{end}}", "id": "thing.id"}
        staged(client, declared(tmp_path, f"{server.origin}/list", details=details), target)
    assert ids(target) == [1, 2, 3]
    assert server.requests[1].target == "/records?ids=1%2C2%2C3&until=2024-03-02T00%3A00%3A00Z"


def test_a_form_holds_ids_with_commas_and_secrets_are_masked(
    client: HttpClient, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETAIL_KEY", "canary+7")
    things = Things([1, 2])

    def answered(asked: Asked) -> Answer:
        if asked.path == "/list":
            return things(asked)
        refused = document({"detail": f"not for {asked.body.decode()}"}, 403)
        return refused if refusing else document({"data": [record(1), record(2)]})

    refusing = False
    body = {"ids": "{ids}", "k": {"env": "DETAIL_KEY"}}
    with SmallServer(answered) as server:
        details = {"url": f"{server.origin}/records", "method": "POST", "body": body, "body_form": "form"}
        api = declared(tmp_path, f"{server.origin}/list", details=details)
        staged(client, api, target)
        assert server.requests[1].body == b"ids=1%2C2&k=canary%2B7"
        refusing = True
        with pytest.raises(SourceRefused, match=r"answered 403: not for ids=1%2C2&k=\*\*\*") as refused:
            staged(client, api, target)
    assert "canary" not in str(refused.value) + repr(api)


MISSING = "2 ids were asked for, and 1 records came: there is no record for 6"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (lambda found: [record(one) for one in found if one != 6], MISSING),
        (lambda found: [*(record(one) for one in found), record(9)], "with the id '9', which was not asked for"),
        (lambda found: [record(one) for one in found for _ in range(2)], "two records of one answer have the id '1'"),
        (lambda found: [record(one) | {"id": None} for one in found], "with the id 'None', which was not asked for"),
        (lambda _: [5], "with the id '', which was not asked for"),
    ],
)
def test_ids_and_records_match_one_to_one(
    client: HttpClient, tmp_path: Path, target: Path, records: Callable[[list[Any]], list[Any]], message: str
) -> None:
    things = Things([1, 2, 3, 4, 5, 6])
    things.records = records
    with SmallServer(things) as server:
        api = declared(tmp_path, f"{server.origin}/list", details=several(server))
        with pytest.raises((StreamIncomplete, SourceRefused), match=message):
            staged(client, api, target)
    assert not target.exists()


def test_an_id_without_a_record_passes_where_that_is_declared(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things([1, 2, 3, 4, 5, 6], total=6)
    things.records = lambda found: [record(one) for one in found if one not in {2, 6}]
    with SmallServer(things) as server:
        details = several(server, nothing=["missing"])
        api = declared(tmp_path, f"{server.origin}/list", details=details, total="total")
        fetched, _ = staged(client, api, target)
        assert ids(target) == [1, 3, 4, 5]
        assert (fetched.answers.level, fetched.answers.beside) == (Verification.FRAMING, 2)
        assert fetched.answers.level_reason == "2 ids had no record, as declared"
        inherited = declared(tmp_path, f"{server.origin}/list", details=several(server), nothing=["missing"])
        assert staged(client, inherited, target)[0].file.rows == 4
        things.records = lambda found: [record(found[0])]
        more = lambda asked: document({"resources": [record(1)], "next": "x"}) if asked.body else things(asked)  # noqa: E731
        server._respond = more
        with pytest.raises(SourceRefused, match="says that there is more in values that nothing reads: next"):
            staged(client, api, target)


def test_a_status_may_say_that_an_id_has_no_record(client: HttpClient, tmp_path: Path, target: Path) -> None:
    def answered(asked: Asked) -> Answer:
        if asked.path == "/list":
            return document({"data": [1, 2]})
        return document({}, 404) if asked.path.endswith("1") else document({"resources": record(2)})

    with SmallServer(answered) as server:
        url = f"{server.origin}/list"
        fetched, _ = staged(client, declared(tmp_path, url, details=single(server, nothing=[404])), target)
        assert (ids(target), fetched.answers.beside) == ([2], 1)
        with pytest.raises(SourceRefused, match="/records/1 answered 404"):
            staged(client, declared(tmp_path, url, details=single(server)), target)
        with pytest.raises(SourceRefused, match="/records/1 answered 404"):
            staged(client, declared(tmp_path, url, details=single(server), nothing=[404]), target)


def test_an_empty_list_asks_for_no_details(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Things([], total=0)) as server:
        api = declared(tmp_path, f"{server.origin}/list", total="total", details=several(server))
        fetched, _ = staged(client, api, target)
    assert (fetched.file.rows, fetched.answers.level, len(server.requests)) == (0, Verification.COUNT, 1)


def test_a_total_counts_the_ids(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Things([1, 2, 3], total=4)) as server:
        api = declared(tmp_path, f"{server.origin}/list", total="total", details=several(server))
        with pytest.raises(StreamIncomplete, match="declares 4 records in all, but 3 came"):
            staged(client, api, target)


def test_an_id_that_the_list_repeats_is_pulled_again_and_counts_once(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    things = Things([1, 2, 3, 3, 4])
    with SmallServer(things) as server:
        api = declared(tmp_path, f"{server.origin}/list", details=several(server))
        with pytest.raises(StreamIncomplete, match="1 records came again on a later page"):
            staged(client, api, target)
        fetched, _ = staged(client, api, target, tries=2)
    assert (ids(target), fetched.file.deduplicated) == ([1, 2, 3, 4], 1)
    assert things.asked == [[1, 2, 3], [3, 4]] * 3
    repeating = Things([1, 2, 2], total=3)
    with SmallServer(repeating) as server:
        api = declared(tmp_path, f"{server.origin}/list", total="total", details=several(server))
        with pytest.raises(StreamIncomplete, match="declares 3 records in all, but 3 came, 1 of them more than once"):
            staged(client, api, target, tries=2)


@pytest.mark.parametrize(
    ("listed", "shown"),
    [([1, None], "null"), ([True], "true"), ([1.5], "1.5"), ([[1]], r"\[1\]"), ([""], '""'), ([{"id": 1}], "'id': 1")],
)
def test_a_list_of_anything_else_is_refused(
    client: HttpClient, tmp_path: Path, target: Path, listed: list[Any], shown: str
) -> None:
    with SmallServer(Things(listed)) as server:
        api = declared(tmp_path, f"{server.origin}/list", details=several(server))
        with pytest.raises(SourceRefused, match=rf"the list has .*{shown}.* for an id.*`details\.id`"):
            staged(client, api, target)
        named = declared(tmp_path, f"{server.origin}/list", details=several(server, id="ident"))
        with pytest.raises(SourceRefused, match="for an id, which is neither"):
            staged(client, named, target)


@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_changes_no_path(client: HttpClient, tmp_path: Path, target: Path, name: str) -> None:
    with SmallServer(Things([name])) as server:
        api = declared(tmp_path, f"{server.origin}/list", details=single(server))
        with pytest.raises(SourceRefused, match=rf"gives the id '{name}', which a URL cannot hold"):
            staged(client, api, target)
    assert len(server.requests) == 1


def test_a_busy_detail_request_is_sent_again_by_itself(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things([1, 2, 3, 4, 5])
    with SmallServer(things) as server:
        server.faults = {3: Fault(document({}, 503)), 4: Fault(document({}, 503)), 5: Fault(cut_after=9)}
        api = declared(tmp_path, f"{server.origin}/list", details=several(server))
        fetched, trace = staged(client, api, target, tries=3)
        assert [request.status for request in trace.requests][:4] == [200, 200, 503, 503]
        assert (ids(target), fetched.tries) == ([1, 2, 3, 4, 5], 2)  # a body that is cut needs the window again
        server.faults = {len(server.requests) + 2: Fault(document({}, 503))}
        with pytest.raises(SourceUnavailable, match="/records answered 503"):
            staged(client, api, target, tries=1)


def test_a_token_is_renewed_between_details(
    client: HttpClient, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = Things(list(range(1, 20)))
    monkeypatch.setenv("ID", "app")
    monkeypatch.setenv("SECRET", "canary")

    def answered(asked: Asked) -> Answer:
        if asked.path == "/token":
            issued.append(len(server.requests))
            return document({"access_token": f"token-{len(issued)}", "token_type": "Bearer"})
        if asked.headers.get("authorization") != f"Bearer token-{len(issued)}" or len(server.requests) % 4 == 0:
            return document({}, 401)
        return things(asked)

    issued: list[int] = []
    with SmallServer(answered) as server:
        auth = {"kind": "oauth2", "token_url": f"{server.origin}/token"}
        auth |= {"client_id": {"env": "ID"}, "client_secret": {"env": "SECRET"}}  # type: ignore[dict-item]
        staged(client, declared(tmp_path, f"{server.origin}/list", auth=auth, details=several(server)), target)
    assert ids(target) == list(range(1, 20))
    assert len(issued) > 1


def test_a_limit_reads_no_more_of_the_list_than_it_needs(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Things(list(range(1, 50)), total=49)) as server:
        api = declared(tmp_path, f"{server.origin}/list", paging=OFFSET, total="total", details=several(server))
        fetched, trace = staged(client, api, target, limit=4)
    assert (ids(target), len(server.requests)) == ([1, 2, 3, 4], 3)
    assert (trace.ended, fetched.answers.complete) == ("stopped after 4 records", False)


def test_a_list_of_any_length_takes_little_memory() -> None:
    with IdList() as listed:
        tracemalloc.start()
        for start in range(0, 100_000, 1000):
            listed.add([f"id-{number:>20}" for number in range(start, start + 1000)])
        count = sum(len(batch) for batch in listed.batches(500))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (count, listed.count) == (100_000, 100_000)
    assert peak < 4 << 20


def test_a_limit_that_meets_too_few_records_proves_nothing(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things(list(range(1, 50)), total=49)
    things.records = lambda found: [record(one) | {"at": "2024-03-02T00:00:00Z"} for one in found]
    with SmallServer(things) as server:
        time = {"after": "from", "before": "to"}
        keys: dict[str, Any] = {"paging": OFFSET, "total": "total", "verification": "count", "time": time}
        api = declared(tmp_path, f"{server.origin}/list", details=several(server), **keys)
        fetched, trace = staged(client, api, target, limit=4)
    assert (ids(target), len(server.requests)) == ([], 4)
    assert (trace.ended, fetched.answers.complete) == ("stopped after 4 records", False)


def test_one_of_several_key_columns_is_the_id(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Things([1, 2])) as server:
        api = {"url": f"{server.origin}/list", "format": "json", "records": "data", "details": several(server)}
        columns = [{"name": "at", "type": "timestamp", "required": True}]
        columns += [{"name": "id", "type": "int64", "required": True}]
        keys: dict[str, object] = {"api": api | {"time": {"after": "from", "before": "to"}}, "columns": columns}
        keys |= {"name": "things", "time": "at", "key": ["at", "id"], "partitions": {"start": "2024-03-01T00:00:00"}}
        staged(client, api_of(tmp_path, keys), target)
    assert ids(target) == [1, 2]


def test_a_value_of_a_pull_is_no_id_of_its_records(client: HttpClient, tmp_path: Path, target: Path) -> None:
    things = Things([5, 6])
    things.records = lambda ids: [record(found) for found in reversed(ids)]
    with SmallServer(things) as server:
        attributes = {
            "name": "things",
            "api": {
                "url": f"{server.origin}/list",
                "format": "json",
                "records": "data",
                "time": {"after": "from", "before": "to", "before_inclusive": False},
                "for_each": {"team": ["5"]},
                "details": several(server, url=f"{server.origin}/records?team={{team}}"),
            },
            "columns": [
                {"name": "team", "from": "team", "required": True},
                {"name": "id", "type": "int64", "required": True},
                {"name": "at", "type": "timestamp", "required": True},
            ],
            "time": "at",
            "key": ["team", "id"],
            "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
        }
        staged(client, api_of(tmp_path, attributes), target)
    assert ids(target) == [6, 5]
