"""XML whose names have namespaces, and whose elements may or may not have attributes beside their text."""

from pathlib import Path

import pytest

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.window_stream import WindowStream
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer
from tests.fetch.declared_api import DAY, api_of

SPACE = "http://www.open.example/OAI/2.0/"
ROOT = f'<OAI-PMH xmlns="{SPACE}" xmlns:dc="http://purl.example/dc/1.1/">{{}}</OAI-PMH>'
RECORD = "<record><head><id>{0}</id><at>2024-03-01T0{0}:00:00Z</at></head><dc:title{1}>t{0}</dc:title></record>"
DROPPED = {
    "records": "OAI-PMH",
    "record": "List/record",
    "namespaces": "drop",
    "paging": {"kind": "cursor", "cursor": 'List.token."#text"', "into": {"query": "token"}, "alone": True},
    "errors": {"message": 'error."#text"', "code": 'error."@code"'},
    "nothing": [{"code": "none"}],
}
KEPT = {
    "records": f"{{{SPACE}}}OAI-PMH",
    "record": f"{{{SPACE}}}List/{{{SPACE}}}record",
    "paging": {**DROPPED["paging"], "cursor": f'{{{SPACE}}}List.{{{SPACE}}}token."#text"'},  # type: ignore[dict-item]
    "errors": {"message": f'{{{SPACE}}}error."#text"', "code": f'{{{SPACE}}}error."@code"'},
    "nothing": [{"code": "none"}],
}


def declared(folder: Path, url: str, keys: dict[str, object]) -> WindowedApi:
    space = "" if keys is DROPPED else f"{{{SPACE}}}"
    title = 'title."#text"' if keys is DROPPED else '{http://purl.example/dc/1.1/}title."#text"'
    columns = [
        {"name": "id", "type": "int64", "path": f"{space}head.{space}id", "required": True},
        {"name": "at", "type": "timestamp", "path": f"{space}head.{space}at", "required": True},
        {"name": "title", "path": title},
        {"name": "extra", "type": "json"},
    ]
    api = {"url": url, "format": "xml", "time": {"after": "from", "before": "to", "before_inclusive": False}, **keys}
    return api_of(
        folder,
        {
            "name": "things",
            "api": api,
            "columns": columns,
            "extra": "extra",
            "time": "at",
            "key": "id",
            "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
        },
    )


def xml(inside: str, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "text/xml; charset=utf-8"}, ROOT.format(inside).encode())


def rows(client: HttpClient, api: WindowedApi) -> list[dict[str, object]]:
    return [row for casted in WindowStream(FetchPlan(client, api, DAY)) for row in casted.batch.to_pylist()]


@pytest.mark.parametrize("attributes", ["", ' cursor="0"'])
@pytest.mark.parametrize("last", ["<token{0}></token>", "<token{0}/>", ""])
@pytest.mark.parametrize("keys", [DROPPED, KEPT], ids=["dropped", "kept"])
def test_a_cursor_in_a_text_is_followed_with_and_without_attributes(
    tmp_path: Path, client: HttpClient, keys: dict[str, object], last: str, attributes: str
) -> None:
    def page(asked: Asked) -> Answer:
        number = int(asked.parameters.get("token", "1"))
        assert set(asked.parameters) == ({"token"} if number > 1 else {"from", "to"})
        token = f"<token{attributes}>{number + 1}</token>" if number < 3 else last.format(attributes)
        return xml(f"<List>{RECORD.format(number, ' lang="en"' if number == 2 else '')}{token}</List>")

    with SmallServer(page) as server:
        found = rows(client, declared(tmp_path, server.origin, keys))
    assert [(row["id"], row["title"]) for row in found] == [(1, "t1"), (2, "t2"), (3, "t3")]
    lang = '{"$.title.@lang":"en"}' if keys is DROPPED else '{"$.{http://purl.example/dc/1.1/}title.@lang":"en"}'
    assert [row["extra"] for row in found] == [None, lang, None]


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("keys", [DROPPED, KEPT], ids=["dropped", "kept"])
def test_an_error_document_has_namespaces_too(
    tmp_path: Path, client: HttpClient, keys: dict[str, object], status: int
) -> None:
    with SmallServer(lambda _: xml('<error code="none">nothing</error>', status)) as server:
        assert rows(client, declared(tmp_path, server.origin, keys)) == []
    for attributes, message in ((' code="other"', "error other: not now"), ("", "error: not now")):
        error = xml(f"<error{attributes}>not now</error>", status)
        with (
            SmallServer(lambda _, error=error: error) as server,  # type: ignore[misc]
            pytest.raises(SourceRefused, match=message),
        ):
            rows(client, declared(tmp_path, server.origin, keys))


@pytest.mark.parametrize(
    "inside",
    [
        f'<List>{RECORD.format(1, "")}</List><List xmlns="urn:2">{RECORD.format(2, "")}</List>',
        f"<List>{RECORD.format(1, '')}<dc:record><dc:id>2</dc:id></dc:record></List>",
    ],
)
def test_records_of_two_namespaces_are_not_read_as_those_of_one(
    tmp_path: Path, client: HttpClient, inside: str
) -> None:
    keys: dict[str, object] = {**KEPT}
    with (
        SmallServer(lambda _: xml(inside)) as server,
        pytest.raises(SourceRefused, match=r"has <\{.*\}\w+> beside <.*`namespaces: drop`"),
    ):
        rows(client, declared(tmp_path, server.origin, keys))
