"""Answers that mean no records where that is declared, and are errors where it is not; content types; second tries."""

from pathlib import Path

import pytest

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.refusals import Nothing, Refusals
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat

from .nested_items import api, body, items
from .scripted import ScriptedServer, answer
from .test_paged_windows import stage

CODED = ErrorDocument(message=RecordPath.parse("error"), code=RecordPath.parse("code")).with_nothing(
    frozenset({"noRecordsMatch"})
)
NONE = b'{"error": "nothing matches", "code": "noRecordsMatch"}'
ANSWERS = {
    "204": (answer(b"", status="204 No Content"), Nothing(statuses=frozenset({204})), "204"),
    "404": (answer(b"<html>", status="404 X", kind="text/html"), Nothing(statuses=frozenset({404})), "404"),
    "empty": (answer(b""), Nothing(empty=True), "empty"),
    "missing": (answer(b'{"at": 1}'), Nothing(members=frozenset({"missing"})), "missing"),
    "null": (answer(b'{"records": null}'), Nothing(members=frozenset({"null"})), "null"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_means_no_records_where_that_is_declared(
    client: HttpClient, server: ScriptedServer, target: Path, kind: str
) -> None:
    server.scripts = [ANSWERS[kind][0]]
    staged = stage(client, api(server, refusals=Refusals(nothing=ANSWERS[kind][1])), target)
    by_itself = kind in {"204", "404", "empty"}  # the source counts, and comes to 0
    assert (staged.file.rows, staged.answers.requests, staged.answers.level) == (
        0,
        1,
        Verification(2 if by_itself else 1),
    )


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("declared", ["", *ANSWERS])
def test_it_is_an_error_where_another_one_is_or_none(
    client: HttpClient, server: ScriptedServer, target: Path, kind: str, declared: str
) -> None:
    if kind == declared:
        return
    server.scripts = [ANSWERS[kind][0]]
    rule = Refusals(nothing=ANSWERS[declared][1]) if declared else Refusals()
    with pytest.raises((SourceRefused, StreamIncomplete), match=ANSWERS[kind][2]) as raised:
        stage(client, api(server, refusals=rule), target)
    assert "`nothing: [" in raised.value.remedy
    assert not target.exists()


@pytest.mark.parametrize("status", ["200 OK", "404 X", "422 X"])
def test_a_code_of_an_error_document_means_no_records(
    client: HttpClient, server: ScriptedServer, target: Path, status: str
) -> None:
    server.scripts = [answer(NONE, status=status)]
    assert stage(client, api(server, refusals=Refusals(document=CODED)), target).file.rows == 0
    server.scripts = [answer(NONE.replace(b"noRecordsMatch", b"badArgument"), status=status)]
    with pytest.raises(SourceRefused, match="badArgument"):
        stage(client, api(server, refusals=Refusals(document=CODED)), target)


def test_records_before_such_a_code_are_no_whole_answer(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(body(items(1, 2), error="nothing matches", code="noRecordsMatch"))]
    with pytest.raises(SourceRefused, match="after records of the same answer"):
        stage(client, api(server, refusals=Refusals(document=CODED)), target)


@pytest.mark.parametrize("kind", ["application/vnd.api+json", "application/hal+json; charset=utf-8", "text/x-log"])
def test_content_types_of_the_format(client: HttpClient, server: ScriptedServer, target: Path, kind: str) -> None:
    server.scripts = [answer(body(items(1, 2)), kind=kind)]
    assert stage(client, api(server, content_types=frozenset({"text/x-log"})), target).file.rows == 2
    server.scripts = [answer(b"<records/>", kind="application/atom+xml")]
    with pytest.raises(SourceRefused, match=r"'application/atom\+xml', not application/json.*`content_types`"):
        stage(client, api(server, format=WireFormat.JSON), target)


def test_a_malformed_document_is_asked_for_again(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    good, spoilt = answer(body(items(1, 2))), answer(body(items(1, 2)).replace(b"}]", b"},]"))
    server.scripts = [spoilt, good]
    staged = stage(client, api(server), target, tries=2)
    assert (staged.file.rows, staged.tries) == (2, 2)
    server.scripts = [spoilt]
    with pytest.raises(MalformedDocument, match="not valid JSON"):
        stage(client, api(server), target, tries=2)


def test_declared_nothing_is_a_count_for_windows_that_must_be_counted(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    script, rule, _ = ANSWERS["404"]
    server.scripts = [script]
    counted = api(server, refusals=Refusals(nothing=rule), verification=Verification.COUNT)
    assert stage(client, counted, target).file.rows == 0


def test_an_empty_body_whose_end_nothing_proves_may_be_cut(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"]
    with pytest.raises(StreamIncomplete, match="nothing proves that it was not cut"):
        stage(client, api(server, refusals=Refusals(nothing=Nothing(empty=True))), target)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n \n", b"\xef\xbb\xbf"])
def test_blank_lines_are_an_empty_answer(
    client: HttpClient, server: ScriptedServer, target: Path, blank: bytes
) -> None:
    server.scripts = [answer(blank, kind="application/x-ndjson")]
    lines = {"format": WireFormat.NDJSON, "verification": Verification.UNVERIFIED}
    with pytest.raises(StreamIncomplete, match="is empty"):
        stage(client, api(server, **lines), target)
    assert stage(client, api(server, refusals=Refusals(nothing=Nothing(empty=True)), **lines), target).file.rows == 0


def test_a_code_that_means_nothing_needs_no_text(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(b'{"code": "noRecordsMatch"}')]
    assert stage(client, api(server, refusals=Refusals(document=CODED)), target).file.rows == 0
    server.scripts = [answer(b'{"code": "ok", "records": []}')]
    assert stage(client, api(server, refusals=Refusals(document=CODED)), target).answers.requests == 1
