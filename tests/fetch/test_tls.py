"""Own CAs and certificates of the client, with real servers; what is wrong with either is named with its remedy."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from flows_platform.domain.errors import ConfigurationError, PlatformError, SourceRefused, SourceUnavailable
from flows_platform.fetch.api import WindowedApi
from flows_platform.orchestration.resources import FetchResource
from tests.fakes.certificates import Authority, Issued
from tests.fakes.proxy import LittleProxy
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fakes.token_server import TokenServer
from tests.fetch.declared_api import IDS, RECORDS, declared, ids

PASSWORD = "canary-password"  # noqa: S105 - of a key that a test makes
CLIENT_CERTIFICATE = "Name a certificate that it accepts, and its key, as `api.tls.certificate` and `api.tls.key`"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.named("ca", tmp_path)


@pytest.fixture
def clients(tmp_path: Path) -> Authority:
    return Authority.named("clients", tmp_path)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_PASSWORD", PASSWORD)


def records(_: Asked) -> Answer:
    return document({"data": RECORDS})


def fetched(api: WindowedApi, connect: float = 10.0, read: float = 60.0) -> list[int]:
    with FetchResource(tries=1, connect_timeout=connect, read_timeout=read).client(api) as client:
        return ids(client, api)


def refused(folder: Path, server: ssl.SSLContext, **keys: object) -> str:
    """Why the server's records cannot be fetched."""
    with SmallServer(records, server) as running:
        api = declared(folder, running.origin, **keys)
        with pytest.raises(SourceRefused) as error:
            fetched(api)
        assert running.requests == []
    return str(error.value)


def test_an_own_ca_by_a_path_beside_the_file(tmp_path: Path, authority: Authority) -> None:
    with TokenServer(RECORDS, tls=authority.issue("server").server()) as server:
        secrets = {"client_id": {"env": "KEY_PASSWORD"}, "client_secret": {"env": "KEY_PASSWORD"}}
        auth = {"kind": "oauth2", "token_url": f"{server.origin}/token", **secrets}
        api = declared(tmp_path, f"{server.origin}/things", auth=auth, tls={"ca": "ca.pem"})
        assert fetched(api) == IDS
    assert [asked.path for asked in server.requests] == ["/token", "/things"]


def test_the_systems_cas_alone_do_not_know_it(tmp_path: Path, authority: Authority) -> None:
    why = refused(tmp_path, authority.issue("server").server())
    assert "shows a certificate that cannot be trusted: unable to get local issuer certificate. Where" in why
    assert "name its certificate as `api.tls.ca`." in why


@pytest.mark.parametrize(
    ("host", "age", "why"),
    [
        ("127.0.0.1", timedelta(days=9), "certificate has expired. The server needs a new certificate"),
        ("127.0.0.1", timedelta(days=-1), "certificate is not yet valid. Check this machine's clock"),
        ("api.example", timedelta(days=1), "IP address mismatch, certificate is not valid for '127.0.0.1'. Give"),
    ],
)
def test_dates_and_names_are_checked_with_an_own_ca(
    tmp_path: Path, authority: Authority, host: str, age: timedelta, why: str
) -> None:
    server = authority.issue("server", host=host, age=age).server()
    assert f"shows a certificate that cannot be trusted: {why}" in refused(tmp_path, server, tls={"ca": "ca.pem"})


def test_another_ca_is_not_trusted(tmp_path: Path, authority: Authority, clients: Authority) -> None:
    why = refused(tmp_path, authority.issue("server").server(), tls={"ca": str(clients.path)})
    assert "cannot be trusted: unable to get local issuer certificate" in why


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_demands_a_certificate(
    tmp_path: Path, authority: Authority, clients: Authority, version: ssl.TLSVersion
) -> None:
    server = authority.issue("server").server(clients=clients)
    server.minimum_version = server.maximum_version = version
    clients.issue("we")
    with SmallServer(records, server) as running:
        api = declared(tmp_path, running.origin, tls={"ca": "ca.pem", "certificate": "we.pem", "key": "we.key"})
        assert fetched(api) == IDS
    without = refused(tmp_path, server, tls={"ca": "ca.pem"})
    assert CLIENT_CERTIFICATE in without
    if version is ssl.TLSVersion.TLSv1_3:
        assert "asks for a certificate of the client, and none is declared" in without
    authority.issue("others")
    others = {"ca": "ca.pem", "certificate": "others.pem", "key": "others.key"}
    assert f"does not accept the client's certificate (TLSV1_ALERT_UNKNOWN_CA). {CLIENT_CERTIFICATE}" in refused(
        tmp_path, server, tls=others
    )


def test_a_key_is_decrypted_and_its_password_shown_nowhere(
    tmp_path: Path, authority: Authority, clients: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    clients.issue("we", password=PASSWORD)
    keys = {"ca": "ca.pem", "certificate": "we.pem", "key": "we.key", "key_password": {"env": "KEY_PASSWORD"}}
    with SmallServer(
        lambda _: document({"detail": f"no {PASSWORD}"}, 403), authority.issue("server").server(clients=clients)
    ) as server:
        api = declared(tmp_path, server.origin, tls=keys)
        with pytest.raises(SourceRefused, match=r"answered 403: no \*\*\*") as error:
            fetched(api)
    assert "canary" not in f"{error.value!r}{caplog.text}{api!r}"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_not_spoken(tmp_path: Path, authority: Authority) -> None:
    server = authority.issue("server").server()
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    server.maximum_version = ssl.TLSVersion.TLSv1_1
    assert "speaks no TLS 1.2 or newer" in refused(tmp_path, server, tls={"ca": "ca.pem"})


def test_a_server_without_tls(tmp_path: Path, authority: Authority) -> None:
    with SmallServer(records) as server:
        api = declared(tmp_path, server.origin.replace("http:", "https:"), tls={"ca": str(authority.path)})
        with pytest.raises(PlatformError, match=r"does not speak TLS .* Check the URL: https, the host and the port"):
            fetched(api)


@pytest.mark.parametrize("tunnel", [False, True])
def test_a_body_that_comes_no_further_ends_in_time(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, *, tunnel: bool
) -> None:
    done = Event()

    def pieces() -> Iterator[bytes]:
        yield b'{"data": [' + b" " * 300_000  # more than the server's buffer
        done.wait()

    def never_whole(_: Asked) -> Answer:
        return Answer(200, {"Content-Type": "application/json"}, pieces())

    tls = authority.issue("server", host="api.example" if tunnel else "127.0.0.1").server()
    with SmallServer(never_whole, tls) as server, LittleProxy(server.port) as proxy:
        if tunnel:
            monkeypatch.setenv("https_proxy", proxy.url())
        url = "https://api.example/things" if tunnel else server.origin
        api = declared(tmp_path, url, tls={"ca": "ca.pem"})
        try:
            with pytest.raises(PlatformError, match=r"did not finish a read within 3 s"):
                fetched(api, read=3.0)
        finally:
            done.set()
    assert bool(proxy.requests) is tunnel


def test_certificates_are_checked_through_a_tunnel(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallServer(records, authority.issue("server").server()) as server, LittleProxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url())
        api = declared(tmp_path, "https://api.example/things", tls={"ca": "ca.pem"})
        with pytest.raises(SourceRefused, match=r"https://api\.example/things shows a certificate .*Hostname mismatch"):
            fetched(api)


@pytest.mark.slow
def test_a_head_that_never_ends_is_not_the_proxys_fault(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Event()
    tls = authority.issue("server", host="api.example").server()
    with (
        SmallServer(lambda _: Answer(200, {}, iter([str(done.wait()).encode()])), tls) as server,
        LittleProxy(server.port) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url())
        api = declared(tmp_path, "https://api.example/things", tls={"ca": "ca.pem"})
        try:
            with pytest.raises(SourceUnavailable) as error:
                fetched(api, read=6.0)
        finally:
            done.set()
    why = "the answer's head was not complete within 6 s"
    assert f"things gives no answer through the proxy {proxy.url()} (TimeoutError: {why})" in str(error.value)


def test_a_handshake_that_never_ends_is_ended(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = declared(tmp_path, f"https://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SourceUnavailable, match=r"gives no answer .*timed out"):
            fetched(api, connect=1.0)


def bad_password(_: Path, clients: Authority) -> None:
    clients.issue("we", password="another")  # noqa: S106 - of a key that a test makes


def another_key(folder: Path, clients: Authority) -> None:
    clients.issue("you").key.rename(folder / "we.key")


def no_pem(name: str) -> Callable[[Path, Authority], object]:
    return lambda folder, _: (folder / name).write_text("nothing")


def missing(name: str) -> Callable[[Path, Authority], object]:
    return lambda folder, _: (folder / name).unlink()


def a_folder(folder: Path, _: Authority) -> None:
    (folder / "ca.pem").unlink()
    (folder / "ca.pem").mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing("ca.pem"), "api.tls.ca: {folder}/ca.pem cannot be read (No such file or directory). A relative path"),
        (a_folder, "api.tls.ca: {folder}/ca.pem cannot be read (Is a directory)"),
        (no_pem("ca.pem"), "api.tls.ca: {folder}/ca.pem cannot be used: it holds no certificate in PEM"),
        (missing("we.pem"), "api.tls.certificate: {folder}/we.pem cannot be read (No such file or directory)"),
        (no_pem("we.pem"), "api.tls.certificate: {folder}/we.pem cannot be used: it holds no certificate in PEM"),
        (missing("we.key"), "api.tls.key: {folder}/we.key cannot be read (No such file or directory)"),
        (no_pem("we.key"), "api.tls.key: {folder}/we.key cannot be used: it holds no private key in PEM"),
        (another_key, "we.key cannot be used: its key is not that of the certificate {folder}/we.pem"),
        (bad_password, "api.tls.key: {folder}/we.key cannot be used: the password in KEY_PASSWORD does not decrypt it"),
    ],
)
def test_files_are_named_with_their_key(
    tmp_path: Path, authority: Authority, clients: Authority, spoil: Callable[[Path, Authority], object], message: str
) -> None:
    assert (authority.path.name, isinstance(clients.issue("we"), Issued)) == ("ca.pem", True)
    spoil(tmp_path, clients)
    keys = {"ca": "ca.pem", "certificate": "we.pem", "key": "we.key", "key_password": {"env": "KEY_PASSWORD"}}
    api = declared(tmp_path, "https://api.example", tls=keys)
    with pytest.raises(ConfigurationError) as error:
        fetched(api)
    assert message.format(folder=tmp_path) in str(error.value)


def test_an_encrypted_key_needs_its_password(tmp_path: Path, clients: Authority) -> None:
    clients.issue("we", password=PASSWORD)
    api = declared(tmp_path, "https://api.example", tls={"certificate": "we.pem", "key": "we.key"})
    with pytest.raises(ConfigurationError, match="it is encrypted; name its password as `key_password:"):
        fetched(api)


def test_one_file_may_hold_certificate_and_key(tmp_path: Path, clients: Authority) -> None:
    we = clients.issue("we")
    api = declared(tmp_path, "https://api.example", tls={"certificate": "we.pem"})
    with pytest.raises(ConfigurationError, match=r"api\.tls\.certificate: .*we\.pem cannot be used: it holds no priv"):
        fetched(api)
    we.certificate.write_bytes(we.certificate.read_bytes() + we.key.read_bytes())
    assert api.tls_context() is not None
