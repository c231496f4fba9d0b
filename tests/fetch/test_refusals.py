"""Answers that are not the records: their reason, whether to come back, and after how long."""

from pathlib import Path

import pytest

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.http.refusals import MAX_WAIT, TRANSIENT_STATUSES, Refusals, Wait
from flows_platform.formats.protocol.envelope import ErrorDocument

from .nested_items import api, body, items
from .scripted import ScriptedServer, Trickle, answer
from .test_paged_windows import stage

TRANSIENT = ("1960",)
XML = ErrorDocument(
    message=RecordPath.parse("RESPONSE.TEXT"),
    code=RecordPath.parse("RESPONSE.CODE"),
    root="SIMPLE_RETURN",
    transient=TRANSIENT,
)
JSON = ErrorDocument(
    message=RecordPath.parse("error.message"), code=RecordPath.parse("error.code"), transient=TRANSIENT
)
SIMPLE_RETURN = (
    b"<?xml version='1.0'?><!DOCTYPE SIMPLE_RETURN SYSTEM 'http://127.0.0.1:9/x.dtd'><SIMPLE_RETURN><RESPONSE>"
    b"<CODE>%b</CODE><TEXT>Not now.</TEXT></RESPONSE></SIMPLE_RETURN>"
)


def wait(rule: Refusals, **headers: str) -> float | None:
    return rule.wait({name.replace("_", "-"): value for name, value in headers.items()})


def test_the_wait_is_in_the_first_header_that_has_one() -> None:
    rule = Refusals(waiting=Wait(headers=("X-RateLimit-ToWait-Sec", "Retry-After")))
    assert wait(rule, X_RateLimit_ToWait_Sec="12", Retry_After="5") == 12.0
    assert wait(rule, X_RateLimit_ToWait_Sec="0", Retry_After=" 5 ") == 5.0
    assert wait(rule) is None
    assert wait(Refusals(waiting=Wait(pause=6.0))) == 6.0
    assert wait(Refusals(waiting=Wait(pause=6.0)), Retry_After="2") == 2.0


@pytest.mark.parametrize("value", ["-1", "+5", "1e9", "1.5.1", "٣", "²", "", "soon", "Wed, 41 Oct 2015 07:28:00 GMT"])
def test_a_wait_that_is_no_number_of_seconds_is_left_to_the_pause(value: str) -> None:
    assert wait(Refusals(), Retry_After=value) is None
    assert wait(Refusals(waiting=Wait(pause=6.0)), Retry_After=value) == 6.0


@pytest.mark.parametrize("value", ["301", "86400", "9" * 500])
def test_a_server_may_not_park_us_for_hours(value: str) -> None:
    assert wait(Refusals(), Retry_After=value) == MAX_WAIT
    assert wait(Refusals(waiting=Wait(longest=20.0)), Retry_After=value) == 20.0


NOW = 1_709_251_200.0  # Fri, 01 Mar 2024 00:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1.5", 1.5),
        ("Fri, 01 Mar 2024 00:00:07 GMT", 7.0),
        ("Friday, 01-Mar-24 00:00:07 GMT", 7.0),
        ("Fri Mar  1 00:00:07 2024", 7.0),
        ("Thu, 29 Feb 2024 23:59:59 GMT", 0.0),
        ("1709251207", 7.0),
        ("1709251207.5", 7.5),
        ("1709251207500", 7.5),
        ("1709251199", 0.0),
        ("2024-03-01T00:00:07Z", 7.0),
        ("2024-03-01T05:30:07.5+05:30", 7.5),
        ("2024-03-01T00:00:07", 7.0),
        ("Fri, 01 Mar 2024 00:00:07 -0000", 7.0),
        ("1709337600", MAX_WAIT),
        ("Sat, 02 Mar 2024 00:00:00 GMT", MAX_WAIT),
    ],
)
def test_a_wait_may_be_an_instant(value: str, seconds: float) -> None:
    assert wait(Refusals(now=lambda: NOW, waiting=Wait(pause=6.0)), Retry_After=value) == pytest.approx(seconds)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 425, 429, 500, 501, 502, 503, 504])
def test_statuses_that_ask_to_come_back_are_declared(
    client: HttpClient, server: ScriptedServer, target: Path, status: int
) -> None:
    for rule in (Refusals(), Refusals(waiting=Wait(statuses=(403, 409), pause=30.0))):
        server.scripts = [answer(b"", status=f"{status} X")]
        kind = SourceUnavailable if status in rule.waiting.statuses else SourceRefused
        with pytest.raises(kind, match=f"/items answered {status}\\.") as raised:
            stage(client, api(server, refusals=rule), target)
        assert getattr(raised.value, "retry_after", None) == (rule.waiting.pause if kind is SourceUnavailable else None)
    assert 403 not in TRANSIENT_STATUSES


def test_the_reason_is_in_a_header_a_problem_or_an_error_document(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    rule = Refusals(message_header="message", document=JSON)
    for script, reason in (
        (answer(b"", status="404 X", message="Invalid cpeName."), "Invalid cpeName"),
        (answer(b'{"detail": "no"}', status="404 X", message="yes"), "yes"),
        (answer(b'{"detail": "no such field"}', status="400 X", kind="application/PROBLEM+json"), "no such field"),
        (answer(b'{"error": {"message": "bad", "code": 7}}', status="400 X"), "the API answers with an error 7: bad"),
        (answer(b'{"error": {"message": "bad"', status="400 X"), ""),
        (answer(b"[" * 60_000, status="400 X"), ""),
        (answer(b"7" * 5000, status="400 X"), ""),
        (answer(b"<html>&nope;<br></html>", status="400 X", kind="text/html"), ""),
    ):
        server.scripts = [script]
        with pytest.raises(SourceRefused) as raised:
            stage(client, api(server, refusals=rule), target)
        place = f"{server.origin}/items answered "
        assert raised.value.message.removeprefix(place)[3:] == (f": {reason}." if reason else ".")


@pytest.mark.parametrize(("code", "kind"), [("1960", SourceUnavailable), ("1905", SourceRefused)])
def test_an_error_document_tells_by_its_code_whether_to_come_back(
    client: HttpClient, server: ScriptedServer, target: Path, code: str, kind: type[PlatformError]
) -> None:
    rule = Refusals(document=XML, waiting=Wait(headers=("X-RateLimit-ToWait-Sec",)))
    script = answer(SIMPLE_RETURN % code.encode(), status="409 X", kind="text/xml", X_RateLimit_ToWait_Sec="9")
    # The head alone, and the body a little later, as most servers send them.
    head, _, rest = script.partition(b"<RESPONSE>")
    for refused in (script, Trickle(head, b"<RESPONSE>" + rest, 0.001)):
        server.scripts = [refused]
        with pytest.raises(kind, match=f"the API answers with an error {code}: Not now\\.") as raised:
            stage(client, api(server, refusals=rule), target)
        assert getattr(raised.value, "retry_after", None) == (9.0 if kind is SourceUnavailable else None)


def test_an_error_that_trickles_in_is_told_as_far_as_it_came(server: ScriptedServer, target: Path) -> None:
    client = HttpClient(HttpLimits(rate_over=0.2))  # its rate ends it; a busy machine may wait for the head
    head = answer(b"x" * 1000, status="503 X", Retry_After="4").partition(b"xxx")[0]
    server.scripts = [Trickle(head, b"x" * 1000, 0.05)]
    with pytest.raises(SourceUnavailable, match="answered 503") as raised:
        stage(client, api(server), target)
    assert raised.value.retry_after == 4.0
    client.close()


def test_after_the_wait_the_window_comes(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    refused = answer(b"", status="403 X", message="too fast")
    server.scripts = [refused, refused, answer(body(items(1, 2)))]
    rule = Refusals(waiting=Wait(statuses=(*TRANSIENT_STATUSES, 403), pause=6.0), message_header="message")
    assert stage(client, api(server, refusals=rule), target, tries=3).tries == 3
