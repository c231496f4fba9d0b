"""Requests through a proxy of the environment: which go there, what it is sent, and what its refusals mean."""

import logging
import os
from base64 import b64encode
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError, PlatformError, SourceRefused, SourceUnavailable
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.orchestration.resources import FetchResource, build_resources
from flows_platform.settings import load_settings
from tests.fakes.certificates import Authority
from tests.fakes.proxy import LittleProxy
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fakes.token_server import TokenServer
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

PASSWORD = "canary/+:@"  # noqa: S105 - of a test
CREDENTIALS = "user:canary%2F%2B%3A%40"
SENT = "Basic " + b64encode(f"user:{PASSWORD}".encode()).decode()
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in NAMES]:
        monkeypatch.delenv(name)


def records(_: Asked) -> Answer:
    return document({"data": RECORDS})


def fetched(api: WindowedApi, connect: float = 10.0) -> list[int]:
    with FetchResource(tries=1, connect_timeout=connect).client(api) as client:
        return ids(client, api)


def failure(folder: Path, url: str = "https://api.example", connect: float = 10.0) -> PlatformError:
    """Why an API behind the environment's proxy cannot be fetched from."""
    api = declared(folder, url)
    with pytest.raises(PlatformError) as error:
        fetched(api, connect)
    return error.value


def test_https_goes_through_a_tunnel_and_credentials_to_the_proxy_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP", "canary-app")
    tls = Authority.named("ca", tmp_path).issue("server", host="api.example").server()
    with TokenServer(RECORDS, tls=tls) as server, LittleProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(CREDENTIALS))
        client = {"client_id": {"env": "APP"}, "client_secret": {"env": "APP"}}
        auth = {"kind": "oauth2", "token_url": "https://api.example:444/token", **client}
        api = declared(tmp_path, "https://api.example/things", auth=auth, tls={"ca": "ca.pem"})
        assert fetched(api) == IDS
    assert proxy.requests == ["CONNECT api.example:444", "CONNECT api.example:443"]
    assert proxy.credentials == [SENT, SENT]
    assert [name for asked in server.requests for name in asked.headers if name.startswith("proxy")] == []


def test_http_names_the_whole_url_to_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmallServer(records) as server, LittleProxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(CREDENTIALS).removeprefix("http://"))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # the other one comes first
        api = declared(tmp_path, "http://api.example/things?a=1")
        assert fetched(api) == IDS
    assert proxy.credentials == [SENT]
    assert [line.partition("&")[0] for line in proxy.requests] == ["GET http://api.example/things?a=1"]
    assert (server.requests[0].headers["host"], server.requests[0].parameters["a"]) == ("api.example", "1")


def test_a_proxy_may_speak_tls_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority.named("ca", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    of_server, of_proxy = authority.issue("server", host="api.example"), authority.issue("proxy", identified=True)
    with SmallServer(records, of_server.server()) as server, LittleProxy(server.port, tls=of_proxy.server()) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url())
        assert fetched(declared(tmp_path, "https://api.example/things", tls={"ca": "ca.pem"})) == IDS
    assert proxy.requests == ["CONNECT api.example:443"]


def test_redirects_stay_on_the_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(asked: Asked) -> Answer:
        locations = {"/a": "/b", "/b": "http://other.example/"}
        return Answer(302, {"Location": locations[asked.path]})

    with SmallServer(moved) as server, LittleProxy(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        error = failure(tmp_path, "http://api.example/a")
    assert "http://api.example/b redirects to another origin (http://other.example)" in str(error)
    assert [line.partition("?")[0] for line in proxy.requests] == [
        "GET http://api.example/a",
        "GET http://api.example/b",
    ]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ("407 Proxy Authentication Required", SourceRefused, "asks for a user and a password (407). Write http://"),
        ("403 Not here", SourceRefused, "opens no connection to https://api.example/ (403 Not here). Let the proxy"),
        ("502 Bad Gateway", SourceUnavailable, "opens no connection to https://api.example/ (502 Bad Gateway). Let"),
    ],
)
def test_a_tunnel_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, kind: type[PlatformError], message: str
) -> None:
    with LittleProxy(answer=f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        error = failure(tmp_path, "https://api.example/")
    assert type(error) is kind
    assert f"the proxy {proxy.url()}, named by HTTPS_PROXY, {message}" in str(error)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("407 No", "the proxy {proxy}, named by ALL_PROXY, does not accept the user and password (407). Write http://"),
        ("502 Bad Gateway", "http://api.example (through the proxy {proxy}) answered 502: no *** and Basic ***."),
    ],
)
def test_a_proxy_that_refuses_shows_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: str, message: str
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f'{{"detail": "no {PASSWORD} and {SENT}"}}'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(echo)}\r\n\r\n"
    with LittleProxy(answer=f"{head}{echo}".encode()) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url(CREDENTIALS))
        error = failure(tmp_path, "http://api.example")
    assert proxy.credentials == [SENT]
    assert message.format(proxy=proxy.url()) in str(error)
    shown = f"{error!r}{error.__cause__}{caplog.text}{Proxies.of_environment()!r}"
    assert "canary" not in shown
    assert SENT.removeprefix("Basic ") not in shown


def test_a_proxy_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@127.0.0.1:9")
    error = failure(tmp_path)
    assert "the proxy http://127.0.0.1:9, named by HTTPS_PROXY, cannot be used (ConnectionRefused" in str(error)
    assert "Check HTTPS_PROXY; NO_PROXY lists hosts to reach directly." in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("socks5://user:canary@127.0.0.1:9", "HTTPS_PROXY names a socks5 proxy, which is not supported. Write http://"),
        ("http://user:canary@", "HTTPS_PROXY is not the URL of a proxy. Write http://HOST:PORT"),
        ("http://user:canary@127.0.0.1:canary", "HTTPS_PROXY is not the URL of a proxy."),
    ],
)
def test_a_variable_that_names_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    error = failure(tmp_path)
    assert isinstance(error, ConfigurationError)
    assert message in str(error)
    assert "canary" not in str(error)


def test_a_tunnel_that_never_opens_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LittleProxy(slowly=b"HTTP/1.1 200 OK\r\n" + b"X-Padding: " + b"x" * 900) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        error = failure(tmp_path, connect=1.0)
    assert "the proxy's answer to CONNECT was not complete within 1 s" in str(error)


GIVEN = {"http": "http://h.proxy:1", "https": "s.proxy", "all": "https://a.proxy"}


@pytest.mark.parametrize(
    ("url", "exempt", "expected"),
    [
        ("http://api.example/x", "", "http://h.proxy:1"),
        ("https://api.example/x", "", "http://s.proxy:80"),
        ("https://api.example/x", "other.example, pi.example example.com", "http://s.proxy:80"),
        ("https://api.example/x", "x.example api.example", None),
        ("https://API.example./x", "api.EXAMPLE", None),
        ("https://api.example/x", "example", None),
        ("https://api.example/x", ".example", None),
        ("https://api.example/x", "*.example", None),
        ("https://api.example/x", "*", None),
        ("https://api.example/x", "api.example:443", None),
        ("https://api.example/x", "api.example:80", "http://s.proxy:80"),
        ("https://api.example:8443/x", "api.example:8443", None),
        ("https://10.1.2.3/x", "10.0.0.0/8", None),
        ("https://11.1.2.3/x", "10.0.0.0/8", "http://s.proxy:80"),
        ("https://10.1.2.3/x", "10.1.2.3", None),
        ("https://10.1.2.3/x", "3", "http://s.proxy:80"),
        ("https://10.1.2.3:99/x", "10.1.2.3:98", "http://s.proxy:80"),
        ("https://[fd00::1]/x", "fd00::/8", None),
        ("https://[fd00::1]/x", "fd00::1", None),
        ("https://[fd00::1]:99/x", "[fd00::1]:99", None),
        ("https://[fd00::1]/x", "10.0.0.0/8, fe80::/10", "http://s.proxy:80"),
    ],
)
def test_no_proxy_lists_hosts_to_reach_directly(url: str, exempt: str, expected: str | None) -> None:
    proxy = Proxies(GIVEN | {"no": exempt}).proxy_for(url)
    assert (proxy and proxy.url) == expected


def test_all_proxy_is_for_schemes_without_one() -> None:
    proxy = Proxies({"all": "https://u:p@a.proxy"}).proxy_for("http://api.example")
    assert proxy is not None
    assert (proxy.url, proxy.variable, proxy.credentials) == ("https://a.proxy:443", "ALL_PROXY", "u:p")


def test_own_servers_are_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    settings = load_settings()
    proxies = Proxies.of_environment(build_resources(settings).fetch.own_servers)
    assert proxies.proxy_for(settings.stream_url) is None
    assert proxies.proxy_for("http://127.0.0.1:9999/") is not None
