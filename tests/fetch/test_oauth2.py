"""OAuth2: how a token is asked for, how long it is used, and that neither it nor a secret is shown."""

import logging
from base64 import b64decode
from pathlib import Path

import pytest

from flows_platform.declared import Secret
from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.fetch.auth import OAuth2
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.tokens import Tokens
from flows_platform.fetch.trace import Trace
from tests.fakes.serving import Answer, Asked, Fault, ManualClock
from tests.fakes.small_server import SmallServer, document
from tests.fakes.token_server import TokenServer
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

SECOND = "canary-second"
PLAIN = "a secret as it is"
SECRETS = {"APP_ID": "canary-app", "APP_SECRET": "canary secret:+", "APP_REFRESH": "canary-refresh"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def keys(origin: str, **more: object) -> dict[str, object]:
    names = {"client_id": {"env": "APP_ID"}, "client_secret": {"env": "APP_SECRET"}}
    return {"kind": "oauth2", "token_url": f"{origin}/token", **names, **more}


def oauth2(origin: str, **more: object) -> OAuth2:
    return OAuth2.model_validate(keys(origin, **more))


def test_one_token_serves_all_windows_of_a_process(tmp_path: Path, client: HttpClient) -> None:
    with TokenServer(RECORDS, expires_in=3600) as server:
        more = {"scope": "logs.read", "parameters": {"audience": "a b", "key": {"env": "APP_REFRESH"}}}
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(server.origin, **more))
        assert ids(client, api) == ids(client, api) == IDS
    assert server.forms == [
        {
            "grant_type": "client_credentials",
            "scope": "logs.read",
            "audience": "a b",
            "key": "canary-refresh",
            "client_id": "canary-app",
            "client_secret": "canary secret:+",
        }
    ]
    assert [asked.headers.get("authorization") for asked in server.requests[1:]] == ["Bearer canary-token-1"] * 2


def test_a_cut_answer_may_pass(tmp_path: Path, client: HttpClient) -> None:
    with TokenServer(RECORDS) as server:
        server.faults[1] = Fault(cut_after=20)
        with pytest.raises(StreamIncomplete, match=r"no token: .* broke off after 20 bytes"):
            Tokens().current(client, oauth2(server.origin), SECRETS)
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(server.origin))
        assert ids(client, api) == IDS


def test_id_and_secret_may_go_as_basic(client: HttpClient) -> None:
    with TokenServer(RECORDS) as server:
        assert Tokens().current(client, oauth2(server.origin, send="basic"), SECRETS) == "canary-token-1"
    assert server.forms == [{"grant_type": "client_credentials"}]
    sent = server.requests[0].headers["authorization"].removeprefix("Basic ")
    assert b64decode(sent) == b"canary-app:canary+secret%3A%2B"


def test_a_refused_token_is_replaced_once_for_a_request(tmp_path: Path, client: HttpClient) -> None:
    with TokenServer(RECORDS, uses=1) as server:
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(server.origin))
        trace = Trace()
        assert ids(client, api) == ids(client, api, trace=trace) == IDS
    assert [asked.path for asked in server.requests] == ["/token", "/things", "/things", "/token", "/things"]
    assert [(request.url.rpartition("/")[2].partition("?")[0], request.status) for request in trace.requests] == [
        ("things", 401),
        ("token", 200),
        ("things", 200),
    ]


def test_a_token_that_is_refused_twice_is_shown_nowhere(
    tmp_path: Path, client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with TokenServer(RECORDS, uses=0) as server:
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(server.origin))
        trace = Trace()
        with pytest.raises(SourceRefused, match=r"answered 401: the token \*\*\* has expired") as refused:
            ids(client, api, trace=trace)
    assert len(server.forms) == 2
    assert "canary" not in f"{refused.value!r}{refused.value.__cause__}{trace}{caplog.text}{api!r}"
    assert api.redactor("canary-token-1 and canary-token-2") == "*** and ***"


def test_a_description_that_echoes_a_secret_is_masked(tmp_path: Path, client: HttpClient) -> None:
    echo = {"error": "invalid_client", "error_description": "no client canary-app with canary+secret%3A%2B"}
    trace = Trace()
    with SmallServer(lambda _: document(echo, 401)) as server:
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(f"{server.origin}/canary-app"))
        with pytest.raises(
            SourceRefused, match=r"answered 401: invalid_client: no client \*\*\* with \*\*\*\."
        ) as error:
            ids(client, api, trace=trace)
    assert "canary" not in f"{error.value!r}{trace}"
    assert [(request.url, request.status) for request in trace.requests] == [(f"{server.origin}/***/token", 401)]


def test_a_token_is_renewed_before_it_expires(client: HttpClient) -> None:
    clock = ManualClock()
    tokens = Tokens(clock)
    with TokenServer(RECORDS, expires_in="3600") as server:
        auth = oauth2(server.origin)
        assert tokens.current(client, auth, SECRETS) == "canary-token-1"
        clock.now += 3539
        assert tokens.current(client, auth, SECRETS) == "canary-token-1"
        clock.now += 1
        assert tokens.current(client, auth, SECRETS) == "canary-token-2"
        assert tokens.current(client, auth, SECRETS, spent="canary-token-1") == "canary-token-2"
        assert tokens.current(client, auth, SECRETS, spent="canary-token-2") == "canary-token-3"
    assert "canary" not in repr(vars(tokens)["_slots"][next(iter(vars(tokens)["_slots"]))])


def test_a_refresh_token_that_the_server_replaces_is_used_next(client: HttpClient) -> None:
    tokens = Tokens()
    with TokenServer(RECORDS, expires_in=0, refresh_token=SECOND) as server:
        auth = oauth2(server.origin, refresh_token={"env": "APP_REFRESH"})
        tokens.current(client, auth, SECRETS)
        tokens.current(client, auth, SECRETS)
    assert [form["refresh_token"] for form in server.forms] == ["canary-refresh", SECOND]
    assert {form["grant_type"] for form in server.forms} == {"refresh_token"}
    assert SECOND in tokens.issued()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (document({"error": "invalid_client"}, 401), "/token answered 401: invalid_client. Check `token_url`"),
        (
            document({"error": "invalid_scope", "error_description": "No such\r\nscope: x."}, 400),
            "/token answered 400: invalid_scope: No such scope: x. Check `token_url`",
        ),
        (document({"error": {"message": "no"}}, 400), "answered 400: {'message': 'no'}"),
        (document({"error": "bad_verification_code"}), "no token: bad_verification_code. Check `token_url`"),
        (document({}, 503), "answered 503"),
        (document([]), "the answer is not a JSON object"),
        (Answer(200, {}, b"<html>"), "the answer is not a JSON object"),
        (document({"token": "x"}), "the answer has no `access_token`"),
        (document({"access_token": "x\r\ny"}), "the answer has no `access_token`"),
        (document({"access_token": "canary-t", "token_type": "mac"}), "the token's type is 'mac', not Bearer"),
        (document({"access_token": "canary-t", "expires_in": "soon"}), "`expires_in` is 'soon', not a number"),
        (document({"access_token": "canary-t", "expires_in": True}), "`expires_in` is 'True', not a number"),
        (Answer(307, {"Location": "http://other.example/token"}), "redirects to another origin"),
        (Answer(302, {"Location": "/other"}), "redirects a POST with 302"),
    ],
)
def test_an_answer_without_a_token_says_so(client: HttpClient, answer: Answer, message: str) -> None:
    with SmallServer(lambda _: answer) as server, pytest.raises(PlatformError, match=r"no token: ") as refused:
        Tokens().current(client, oauth2(server.origin), SECRETS)
    assert message in str(refused.value)
    assert "canary" not in str(refused.value)
    assert isinstance(refused.value, SourceUnavailable if answer.status == 503 else SourceRefused)
    assert refused.value.remedy


def test_secrets_have_no_default_spelling_in_a_yaml() -> None:
    with pytest.raises(ValueError, match="a secret does not belong in a file"):
        oauth2("http://host.example", client_secret=PLAIN)
    assert Secret(env="APP_ID") in oauth2("http://host.example").secrets


def test_other_status_asks_for_no_new_token(tmp_path: Path, client: HttpClient) -> None:
    def forbidden(asked: Asked) -> Answer:
        return document({"access_token": "canary-t"}) if asked.path == "/token" else document({}, 403)

    with SmallServer(forbidden) as server:
        api = declared(tmp_path, f"{server.origin}/things", auth=keys(server.origin))
        with pytest.raises(SourceRefused, match="answered 403"):
            ids(client, api)
    assert [asked.path for asked in server.requests] == ["/token", "/things"]
