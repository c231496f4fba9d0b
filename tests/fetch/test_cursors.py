"""Cursors from documents and headers, into queries and bodies, beside the other parameters or alone."""

import json
from pathlib import Path

import pytest

from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

SEARCH = {"filter": {"from": "{start}", "to": "{end}"}, "page": {"limit": 2}}
RANGE = {"from": "2024-03-01T00:00:00Z", "to": "2024-03-02T00:00:00Z"}


def by_body(asked: Asked) -> Answer:
    page = json.loads(asked.body).get("page", {})
    first = int(page.get("cursor", "0"))
    more = {"meta": {"after": str(first + 2)}} if first + 2 < len(RECORDS) else {"meta": {}}
    return document({"data": RECORDS[first : first + 2], **more})


def test_a_cursor_goes_into_the_body(tmp_path: Path, client: HttpClient) -> None:
    paging = {"kind": "cursor", "cursor": "meta.after", "into": {"body": "page.cursor"}}
    time = {"before_inclusive": False}
    with SmallServer(by_body) as server:
        api = declared(tmp_path, server.origin, method="POST", body=SEARCH, paging=paging, time=time)
        assert ids(client, api) == IDS
    assert [json.loads(asked.body) for asked in server.requests] == [
        {"filter": RANGE, "page": {"limit": 2}},
        {"filter": RANGE, "page": {"limit": 2, "cursor": "2"}},
        {"filter": RANGE, "page": {"limit": 2, "cursor": "4"}},
    ]


def test_a_cursor_goes_alone_into_the_body(tmp_path: Path, client: HttpClient) -> None:
    paging = {"kind": "cursor", "cursor": "meta.after", "into": {"body": "page.cursor"}, "alone": True}
    time = {"before_inclusive": False}
    with SmallServer(by_body) as server:
        api = declared(tmp_path, server.origin, method="POST", body=SEARCH, paging=paging, time=time)
        assert ids(client, api) == IDS
    assert [json.loads(asked.body) for asked in server.requests][1:] == [
        {"page": {"cursor": "2"}},
        {"page": {"cursor": "4"}},
    ]


def test_a_cursor_of_a_header_goes_alone_into_the_query(
    tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_header(asked: Asked) -> Answer:
        first = int(asked.parameters.get("token", "0"))
        page = {"data": RECORDS[first : first + 2]}
        return document(page, Next_Token=str(first + 2)) if first + 2 < len(RECORDS) else document(page)

    monkeypatch.setenv("QUERY_KEY", "canary")
    paging = {"kind": "cursor", "cursor": {"header": "Next-Token"}, "into": {"query": "token"}, "alone": True}
    with SmallServer(by_header) as server:
        parameters = {"set": "a", "k": {"env": "QUERY_KEY"}}
        api = declared(tmp_path, f"{server.origin}/oai?verb=List", paging=paging, parameters=parameters)
        assert ids(client, api) == IDS
    assert server.requests[0].parameters == {"verb": "List", "set": "a", "k": "canary", **RANGE}
    assert [asked.parameters for asked in server.requests][1:] == [
        {"verb": "List", "k": "canary", "token": "2"},
        {"verb": "List", "k": "canary", "token": "4"},
    ]


@pytest.mark.parametrize(
    ("cursor", "value", "sent"),
    [
        ("next", [1709, "b"], ("1709,b", [1709, "b"])),
        ("next", 7, ("7", 7)),
        ("next[]", [7], ("7", [7])),
        ("next", 0.5, ("0.5", 0.5)),
        ("next", [7], ("7", 7)),
    ],
)
def test_an_array_is_joined_in_a_query_and_stays_one_in_a_body(
    tmp_path: Path, client: HttpClient, cursor: str, value: object, sent: tuple[str, object]
) -> None:
    def twice(asked: Asked) -> Answer:
        second = b"search_after" in asked.body or "after" in asked.parameters
        return document({"data": RECORDS[3:]} if second else {"data": RECORDS[:3], "next": value})

    for into in ({"query": "after"}, {"body": "search_after"}):
        with SmallServer(twice) as server:
            paging = {"kind": "cursor", "cursor": cursor, "into": into}
            assert ids(client, declared(tmp_path, server.origin, method="POST", body={}, paging=paging)) == IDS
        last = server.requests[-1]
        if "query" in into:
            assert last.parameters["after"] == sent[0]
        else:
            assert json.loads(last.body) == {"search_after": sent[1]}


def test_a_form_takes_a_cursor_too() -> None:
    request = Request("http://h", method="POST", body=b"a=1&c=old", content_type="application/x-www-form-urlencoded")
    assert request.with_body_value(["c"], "n w").body == b"a=1&c=n+w"
    assert request.with_body_value(["page", "c"], [1, 2]).body == b"a=1&c=old&page.c=1%2C2"
