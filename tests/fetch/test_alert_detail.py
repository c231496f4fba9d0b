"""A detail's request: where it may go, what it sends, and which answers are the detail of the record."""

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows_platform.domain.errors import ConfigurationError, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.fetch.alert_detail import LARGEST, Detail, DetailApi, is_metadata
from flows_platform.webhooks.detail_worker import NotAuthorized, Unaskable

from .scripted import ScriptedServer, answer, scripted_server

KEY = "a-key-of-the-vendor"
BODY = b'{ "id": "5a3c",\n  "severity": 1.50 }'


@pytest.fixture
def vendor() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def unread() -> bytes:
    raise AssertionError("the record is not needed")


def declared(vendor: ScriptedServer, path: str = "/v1/alerts/{id}", **keys: Any) -> Detail:
    auth = {"kind": "header", "name": "Authorization", "value": {"env": "VENDOR_KEY"}}
    return Detail.model_validate({"url": vendor.origin + path, "auth": auth} | keys)


def opened(detail: Detail, folder: Path, secrets: Mapping[str, str] | None = None) -> DetailApi:
    return DetailApi.of(detail, (secrets or {"VENDOR_KEY": KEY}).get, folder, "vendor_alerts")


def asked(
    vendor: ScriptedServer, folder: Path, script: bytes, path: str = "/v1/alerts/{id}", **keys: Any
) -> bytes | None:
    vendor.scripts = [script]
    api = opened(declared(vendor, path, **keys), folder)
    try:
        return api.detail("5a3c", unread)
    finally:
        api.close()


def test_the_answers_own_bytes_are_given(vendor: ScriptedServer, tmp_path: Path) -> None:
    assert asked(vendor, tmp_path, answer(BODY), headers={"X-Version": "2"}) == BODY
    (request,) = vendor.requests
    assert request.startswith("GET /v1/alerts/5a3c HTTP/1.1\r\n")
    assert f"Authorization: {KEY}\r\n" in request
    assert "X-Version: 2\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_a_status_may_say_that_there_is_no_detail(vendor: ScriptedServer, tmp_path: Path, status: str) -> None:
    assert asked(vendor, tmp_path, answer(b"{}", status=status)) is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_has_a_type_of_its_own(vendor: ScriptedServer, tmp_path: Path, status: int) -> None:
    with pytest.raises(NotAuthorized, match=rf"/v1/alerts/5a3c answered {status}.*\. Correct the secrets") as caught:
        asked(vendor, tmp_path, answer(b'{"detail": "%s"}' % KEY.encode(), status=f"{status} No"))
    assert KEY not in str(caught.value)


def test_a_token_that_cannot_be_renewed_now_stops_no_source(vendor: ScriptedServer, tmp_path: Path) -> None:
    token = json.dumps({"access_token": "token-of-an-hour", "token_type": "bearer", "expires_in": 3600}).encode()
    vendor.scripts = [answer(token), answer(b"{}", status="401 Expired"), answer(b"", status="503 Away")]
    auth = {
        "kind": "oauth2",
        "token_url": vendor.origin + "/token",
        "client_id": {"env": "VENDOR_KEY"},
        "client_secret": {"env": "VENDOR_KEY"},
    }
    api = opened(declared(vendor, auth=auth), tmp_path)
    with pytest.raises(SourceUnavailable):
        api.detail("5a3c", unread)
    api.close()


def test_the_vendors_wait_is_kept(vendor: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="answered 429") as caught:
        asked(vendor, tmp_path, answer(b"", status="429 Slow", Retry_After="700"))
    assert caught.value.retry_after == 700


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "is not a detail: The body is not JSON at character 0"),
        (b"[]", "is not a detail: The body is not a JSON object."),
        (b'{"id": "5a3c", "id": "5a3c"}', "The key 'id' occurs twice"),
        (b'{"id": "5a3d"}', "answered with another record: its id is '5a3d'"),
        (b'{"id": {}}', "its id is not a text or a number"),
        (b'{"id": true}', "its id is not a text or a number"),
        (b"{}", "its id is not a text or a number"),
    ],
)
def test_a_lying_vendor_is_refused(vendor: ScriptedServer, tmp_path: Path, body: bytes, why: str) -> None:
    with pytest.raises(SourceRefused, match=why):
        asked(vendor, tmp_path, answer(body))


def test_the_record_may_be_inside_the_answer(vendor: ScriptedServer, tmp_path: Path) -> None:
    body = b'{"alert": {"number": "5a3c"}}'
    assert asked(vendor, tmp_path, answer(body), record="alert", id="number") == body


def test_an_id_may_be_a_number(vendor: ScriptedServer, tmp_path: Path) -> None:
    vendor.scripts = [answer(b'{"id": 1234}')]
    assert opened(declared(vendor), tmp_path).detail("1234", unread) == b'{"id": 1234}'


@pytest.mark.parametrize("length", [None, LARGEST + 100])
def test_a_long_answer_is_not_read_to_its_end(vendor: ScriptedServer, tmp_path: Path, length: int | None) -> None:
    head = f"Content-Length: {length}\r\n" if length else ""
    body = b'{"id": "5a3c", "fill": "' + b"x" * LARGEST + b'"}'
    script = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}Connection: close\r\n\r\n".encode() + body
    with pytest.raises(SourceRefused, match="answered with more than 4,194,304 bytes"):
        asked(vendor, tmp_path, script)


def test_a_short_answer_is_not_a_detail(vendor: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(StreamIncomplete, match="broke off"):
        asked(vendor, tmp_path, answer(BODY, Content_Length="900"))


def test_a_redirect_to_another_origin_is_not_followed(vendor: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="redirects to another origin"):
        asked(vendor, tmp_path, answer(b"", status="302 Found", Location="http://169.254.169.254/latest/meta-data"))
    assert len(vendor.requests) == 1


def test_values_of_the_record_are_percent_encoded(vendor: ScriptedServer, tmp_path: Path) -> None:
    vendor.scripts = [answer(b'{"id": "a:b?c"}')]
    api = opened(declared(vendor, "/v1/{record.org.name}/alerts/{id}?of={record.n}"), tmp_path)
    body = b'{"org": {"name": "../x/y?z#&\xc3\xa9"}, "n": 7}'
    assert api.detail("a:b?c", lambda: body) == b'{"id": "a:b?c"}'
    assert vendor.requests[0].startswith("GET /v1/..%2Fx%2Fy%3Fz%23%26%C3%A9/alerts/a%3Ab%3Fc?of=7 ")


@pytest.mark.parametrize("record", [b"{}", b'{"org": ".."}', b'{"org": ""}', b'{"org": ["a", "b"]}', b'{"org": true}'])
def test_a_record_that_does_not_fill_the_url_is_not_asked_for(
    vendor: ScriptedServer, tmp_path: Path, record: bytes
) -> None:
    with pytest.raises(Unaskable, match=r"no value for \{record.org\} that a URL can hold"):
        opened(declared(vendor, "/{record.org}/{id}"), tmp_path).detail("5a3c", lambda: record)
    assert vendor.requests == []


def test_a_damaged_record_is_not_asked_for(vendor: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(Unaskable, match="the archived record is damaged: The body is not JSON"):
        opened(declared(vendor, "/{record.org}/{id}"), tmp_path).detail("5a3c", lambda: b"{")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://{record.host}/alerts/{id}", "secrets would go wherever a webhook says"),
        ("http://169.254.169.254/latest/{id}", "answers hold credentials"),
        ("http://metadata.google.internal/{id}", "answers hold credentials"),
        ("https://vendor.example/{alert}", r"there is no {alert}; allowed are {id} and {record.PATH}"),
        ("https://vendor.example/{record.}", "is not a path into a record"),
        ("ftp://vendor.example/{id}", "pattern"),
    ],
)
def test_a_url_leads_to_the_vendor(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Detail(url=url)


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.43518", "[fe80::1]", "[fd00:ec2::254]"),
        *("[::ffff:169.254.169.254]", "100.100.100.200", "Metadata.Google.Internal.", "metadata"),
    ],
)
def test_metadata_has_many_names(host: str) -> None:
    assert is_metadata(host)


@pytest.mark.parametrize("host", ["app.threatstack.com", "127.0.0.1", "10.0.0.1", "[::1]", "localhost"])
def test_other_hosts_are_not_metadata(host: str) -> None:
    assert not is_metadata(host)


@pytest.mark.parametrize("status", [200, 401, 403, 429, 500])
def test_a_status_of_the_source_is_not_absent(status: int) -> None:
    with pytest.raises(ValidationError, match=f"{status} does not say that one record has no detail"):
        Detail(url="https://vendor.example/{id}", absent=[status])


def test_a_missing_secret_is_named(vendor: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VENDOR_KEY is not set"):
        opened(declared(vendor), tmp_path, {"OTHER": "x"})


def test_a_wait_for_the_rate_ends_with_the_server(vendor: ScriptedServer, tmp_path: Path) -> None:
    vendor.scripts = [answer(BODY)]
    api = opened(declared(vendor, rate={"requests": 1, "seconds": 3600}), tmp_path)
    assert api.lease_seconds > 3600
    assert api.detail("5a3c", unread) == BODY
    errors: list[Exception] = []

    def wait() -> None:
        try:
            api.detail("5a3c", unread)
        except SourceUnavailable as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    api.close()
    waiting.join(60)
    assert [str(error) for error in errors] == ["the server ends."]
    assert len(vendor.requests) == 1
