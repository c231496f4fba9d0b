"""Requests that are signed by a shared secret, as their server computes the signature."""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.auth import Hmac
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

NOW = datetime(2012, 8, 21, 17, 29, 18, tzinfo=UTC)
SECRETS = {"SIGN": "canary-key", "USER": "DIWJ8X6AEYOR5OMC6TQ1"}


def rule(**keys: object) -> Hmac:
    return Hmac.model_validate({"secret": {"env": "SIGN"}, **keys})


def test_the_test_cases_of_rfc_4231() -> None:
    signing = rule(sign="what do ya want for nothing?", headers={"X-S": "{signature}"})
    signed = signing.signed(Request("http://h"), {"SIGN": "Jefe"}, NOW)
    assert signed.headers["X-S"] == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    long = signing.model_copy(update={"hash": "sha512"}).signed(Request("http://h"), {"SIGN": "Jefe"}, NOW)
    assert long.headers["X-S"].startswith("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554")


def test_what_is_signed_is_what_is_sent() -> None:
    text = "{date}|{timestamp}|{method}|{host}|{path}|{query}|{body}|{body_sha256}|{other}"
    request = Request(
        "https://API.example:8443/a%20b", (("z", "a b,c/d~e"), ("A", "+"), ("z", "")), method="POST", body=b"{}"
    )
    signed = rule(sign=text, headers={"Date": "{date}", "X-T": "{timestamp}", "X-S": "v1={signature}"}).signed(
        request, SECRETS, NOW
    )
    body = hashlib.sha256(b"{}").hexdigest()
    told = (
        "Tue, 21 Aug 2012 17:29:18 GMT|1345570158|POST|api.example:8443|/a%20b|A=%2B&z=&z=a%20b%2Cc%2Fd~e|{}|"
        f"{body}|{{other}}"
    )
    assert signed.headers["X-S"] == "v1=" + hmac.new(b"canary-key", told.encode(), "sha256").hexdigest()
    assert (signed.headers["Date"], signed.headers["X-T"]) == ("Tue, 21 Aug 2012 17:29:18 GMT", "1345570158")
    assert "canary" not in repr(signed)


@pytest.mark.parametrize(("url", "host"), [("https://h.example:443/", "h.example"), ("http://h.example", "h.example")])
def test_the_usual_port_is_not_part_of_the_host(url: str, host: str) -> None:
    signed = rule(sign="{host}{path}", headers={"X-S": "{signature}"}).signed(Request(url), SECRETS, NOW)
    assert signed.headers["X-S"] == hmac.new(b"canary-key", f"{host}/".encode(), "sha256").hexdigest()


def test_the_signature_may_be_a_password() -> None:
    signing = rule(hash="sha1", sign="{method}", user={"env": "USER"}, encoding="base64")
    sent = signing.signed(Request("http://h"), SECRETS, NOW).headers["Authorization"].removeprefix("Basic ")
    right = b64encode(hmac.new(b"canary-key", b"GET", "sha1").digest())
    assert b64decode(sent) == b"DIWJ8X6AEYOR5OMC6TQ1:" + right


def test_every_page_is_signed(tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def checked(asked: Asked) -> Answer:
        path, _, query = asked.target.partition("?")
        sent = asked.headers["x-time"]
        pairs = "&".join(sorted(query.split("&"))).replace("+", "%20")
        right = hmac.new(b"canary-key", f"{sent} {path} {pairs}".encode(), "sha384").hexdigest()
        if asked.headers["x-signature"] != right or abs(time.time() - int(sent)) > 60:
            return document({"detail": "the signature of canary-key does not match"}, 403)
        first = int(asked.parameters.get("c", "0"))
        return document({"data": RECORDS[first : first + 3], "next": first + 3 if first == 0 else None})

    signing = {
        "kind": "hmac",
        "secret": {"env": "SIGN"},
        "hash": "sha384",
        "sign": "{timestamp} {path} {query}",
        "headers": {"X-Time": "{timestamp}", "X-Signature": "{signature}"},
    }
    paging = {"kind": "cursor", "cursor": "next", "into": {"query": "c"}}
    with SmallServer(checked) as server:
        monkeypatch.setenv("SIGN", "canary-key")
        url = f"{server.origin}/v1/changes"
        assert ids(client, declared(tmp_path, url, auth=signing, paging=paging, parameters={"k": "a b"})) == IDS
        wrong = signing | {"sign": "{timestamp}"}
        with pytest.raises(SourceRefused, match=r"the signature of \*\*\* does not match"):
            ids(client, declared(tmp_path, url, auth=wrong, paging=paging))
