"""Requests to AWS, signed as its public test suite of Signature Version 4 says."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.auth import Aws
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

SECRETS = {  # of the test suite
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "",
}
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SUITE = Aws(region="us-east-1", service="service")
HOST = "https://example.amazonaws.com/"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = pytest.importorskip("botocore.auth")
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (Request(HOST), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request(HOST, method="POST"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            Request(HOST, (("Param2", "value2"), ("Param1", "value1"))),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            Request(HOST, method="POST", body=b"Param1=value1", content_type="application/x-www-form-urlencoded"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "post-x-www-form-urlencoded"],
)
def test_the_suite_of_aws(request_: Request, signature: str) -> None:
    headers = SUITE.apply(request_, SECRETS).headers
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert headers["X-Amz-Date"] == "20150830T123600Z"


@pytest.mark.usefixtures("clock")
def test_a_space_is_sent_as_it_is_signed() -> None:
    request = Request(f"{HOST}?a=1", (("b", "x y/z"), ("c", "")))
    assert SUITE.apply(request, SECRETS).target == f"{HOST}?a=1&b=x%20y%2Fz&c="


@pytest.mark.usefixtures("clock")
def test_temporary_credentials_send_their_token() -> None:
    headers = SUITE.apply(Request(HOST), SECRETS | {"AWS_SESSION_TOKEN": "canary"}).headers
    assert headers["X-Amz-Security-Token"] == "canary"
    assert "x-amz-security-token" in headers["Authorization"]


def test_pages_by_a_body_are_signed_and_secrets_masked(
    tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("botocore")

    def look_up(asked: Asked) -> Answer:
        second = b"NextToken" in asked.body
        assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target" in asked.headers["authorization"]
        return document({"Events": RECORDS[3:]} if second else {"Events": RECORDS[:3], "NextToken": "t"})

    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with SmallServer(look_up) as server:
        api = declared(
            tmp_path,
            f"{server.origin}/",
            method="POST",
            records="Events",
            auth={"kind": "aws", "region": "eu-central-1", "service": "cloudtrail"},
            headers={"X-Amz-Target": "LookupEvents", "Content-Type": "application/x-amz-json-1.1"},
            body={"StartTime": "{start}", "EndTime": "{end}"},
            time={"written": "seconds", "before_inclusive": False},
            paging={"kind": "cursor", "cursor": "NextToken", "into": {"body": "NextToken"}},
        )
        assert ids(client, api) == IDS
    assert len({asked.headers["authorization"] for asked in server.requests}) == 2
    assert api.redactor(SECRETS["AWS_SECRET_ACCESS_KEY"]) == "***"


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ConfigurationError, match="needs botocore") as missing:
        SUITE.apply(Request(HOST), SECRETS)
    assert missing.value.remedy == "pip install 'flows-platform[aws]'"
