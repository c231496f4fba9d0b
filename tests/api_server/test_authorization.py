"""Tokens over HTTP: which requests pass, how others are refused, and that no token is ever written anywhere."""

import json
import os
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.request import Request, urlopen

import jsonschema_rs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api_server.config import ServerConfig
from api_server.cves import paths as cve_paths
from api_server.flows import paths as flow_paths
from api_server.http.certificate import certificate_of
from api_server.http.exposure import check_exposure, is_loopback
from api_server.http.tokens import Scope, TokenFile, create_token, revoke_token
from api_server.server import run
from flows_platform.domain.errors import ConfigurationError
from tests.conditions import eventually

from .conftest import Serve, Server, build, build_plain, configured, flow, flows, openapi_document, running

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = "/api/v1/flows/latest"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def token(file: Path) -> str:
    return create_token(file, "all", list(Scope), NOW)


@pytest.fixture
def server(serve: Serve, tmp_path: Path, file: Path, token: str) -> Server:
    return serve(build(tmp_path / "flows.db", flows(100)), tokens=file)


@pytest.mark.parametrize("path", [*flow_paths.STREAMS, LATEST])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_token_opens_the_endpoints(server: Server, token: str, path: str, method: str) -> None:
    assert server.get(path, method, Authorization=f"Bearer {token}")[0].status == 200
    assert server.get(path, method, Authorization=f"bearer  {token}")[0].status == 200
    refused, body = server.get(f"{path}?limit=0", method)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="flows"'
    assert method == "HEAD" or json.loads(body)["type"] == "/#unauthorized"


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/"])
def test_paths_without_data_are_open(server: Server, path: str) -> None:
    response, body = server.get(path)
    assert response.status == 200
    assert path != "/" or (b"not shown" in body and b"flows:read" in body)


def test_a_token_opens_what_its_scope_says(server: Server, file: Path) -> None:
    narrow = {scope: f"Bearer {create_token(file, scope.replace(':', '-'), [scope], NOW)}" for scope in Scope}
    cves = [
        (Scope.CVES_READ, path)
        for path in (cve_paths.CVES, cve_paths.CVE.format(id="CVE-2024-0001"), *cve_paths.TOTALS)
    ]
    for scope, path in ((Scope.FLOWS_READ, flow_paths.STREAM), (Scope.STATUS_READ, LATEST), *cves):
        for held, header in narrow.items():
            response, _ = server.get(path, Authorization=header)
            allowed = 503 if scope is Scope.CVES_READ else 200  # there are no CVEs here
            assert response.status == (allowed if held is scope else 403)
            if held is not scope:
                challenge = response.headers["WWW-Authenticate"]
                assert challenge == f'Bearer realm="flows", error="insufficient_scope", scope="{scope}"'


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic {}", "Bearer {}x", "Bearer {} {}", "{}", "Bearer é"])
def test_what_is_no_token_is_refused(server: Server, token: str, header: str) -> None:
    response, body = server.get(LATEST, Authorization=header.format(token, token))
    assert response.status == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert token.encode() not in body


def test_two_headers_are_refused(server: Server, token: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        line = f"Authorization: Bearer {token}\r\n"
        client.sendall(f"GET {LATEST} HTTP/1.1\r\nHost: localhost\r\n{line}{line}\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_a_revoked_token_ends_at_once(server: Server, file: Path, token: str) -> None:
    assert server.get(LATEST, Authorization=f"Bearer {token}")[0].status == 200
    revoke_token(file, "all")
    assert server.get(LATEST, Authorization=f"Bearer {token}")[0].status == 401
    file.unlink()
    response, _ = server.get(LATEST, Authorization=f"Bearer {token}")
    assert (response.status, response.headers["Retry-After"]) == (503, "30")


def test_a_token_is_written_nowhere(
    serve: Serve, tmp_path: Path, file: Path, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the header of every kind of request and, by mistake, wherever a token does not belong."""
    server = serve(build_plain(tmp_path / "flows.db", [*flows(300), flow(301, time=None)]), tokens=file)
    authorization = {"Authorization": f"Bearer {token}"}
    answers: list[bytes] = []
    for path in (
        f"/{token}",
        f"/?{token}",
        LATEST,
        f"{LATEST}?access_token={token}",
        f"{flow_paths.STREAM}?limit={token}",
    ):
        for target in (f"{path}", f"{path}&x={token}&{'y' * 30}{token}=1"):
            for headers in ({}, authorization, {"Authorization": token}, {"Authorization": f"Bearer {token}{token}"}):
                answers += [server.get(target, method, **headers)[1] for method in ("GET", "DELETE")]
    with (
        server.answer(f"{flow_paths.STREAM}?limit=400", **authorization) as response,
        pytest.raises(ConnectionResetError),
    ):
        response.read()
    assert eventually(lambda: "aborted" in caplog.text)
    answers += [path.read_bytes() for path in tmp_path.rglob("*")]
    assert all(token.encode() not in answer for answer in answers)
    assert token not in caplog.text


def test_the_description_has_the_scopes(server: Server) -> None:
    described = json.loads(server.get("/openapi.json")[1])
    assert described == openapi_document(secured=True)
    get = described["paths"][LATEST]["get"]
    assert get["security"] == [{"token": ["status:read"]}]
    assert {"401", "403"} <= set(get["responses"])
    assert "security" not in described["paths"]["/healthz"]["get"]
    schema = described["components"]["schemas"]["Problem"]
    jsonschema_rs.validate(schema, json.loads(server.get(LATEST)[1]))


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)]
)
def test_what_only_this_machine_reaches(host: str, own: bool) -> None:  # noqa: FBT001  pytest gives it by name
    assert is_loopback(host) is own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "host.invalid"])  # noqa: S104  what is tested
def test_an_address_that_others_reach_needs_tokens(tmp_path: Path, file: Path, host: str) -> None:
    config = ServerConfig()
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="flows token create"):
        check_exposure(config, host)
    check_exposure(ServerConfig(without_tokens=True), host)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_exposure(ServerConfig(tokens=file), host)
    with pytest.raises(ConfigurationError, match="contradict"):
        check_exposure(ServerConfig(tokens=file, without_tokens=True), host)
    create_token(file, "one", [], NOW)
    check_exposure(ServerConfig(tokens=file), host)


def test_such_an_address_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)  # were it served, this would not end
    with pytest.raises(ConfigurationError, match="flows token create"):
        run(*configured(build(tmp_path / "flows.db", [])), "0.0.0.0", 0)  # noqa: S104  what is tested


def test_the_commands(tmp_path: Path) -> None:
    def flows_token(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FLOWS_HOME": str(tmp_path)}
        argv = [sys.executable, "-m", "flows_platform", "token", *words]
        return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)

    made = flows_token("create", "nightly", "--scope", "flows:read")
    assert (made.returncode, made.stdout.count("\n")) == (0, 1)
    grant = TokenFile(tmp_path / "tokens.json").grant_of(made.stdout.strip())
    assert grant
    assert grant.scopes == ("flows:read",)
    assert flows_token("list").stdout.startswith("nightly\tflows:read\t20")
    wrong = flows_token("create", "other", "--scope", "root")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "flows:read, status:read" in wrong.stderr
    assert flows_token("revoke", "nightly").returncode == 0
    assert flows_token("list").stdout == ""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(encoding))
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


def test_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    config, features = configured(build(tmp_path / "flows.db", flows(30_000)), certificate=cert, key=key)
    check_exposure(config, "127.0.0.1")
    context = ssl.create_default_context(cafile=str(cert))
    with running(config, features) as server:
        url = f"https://127.0.0.1:{server.port}{flow_paths.STREAM}?format=ndjson&footer=1"
        with urlopen(Request(url), context=context, timeout=60) as response:
            assert response.read().endswith(b'{"end":{"count":30000}}\n')


def test_a_tls_stream_that_fails_is_no_whole_one(serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    server = serve(build_plain(tmp_path / "flows.db", [*flows(9000), flow(9001, time=None)]), certificate=cert, key=key)
    context = ssl.create_default_context(cafile=str(cert))
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as client:
        client.sendall(f"GET {flow_paths.STREAM} HTTP/1.0\r\n\r\n".encode())
        with pytest.raises(OSError, match=r"reset|EOF"):
            list(iter(lambda: client.recv(2**16), b""))


def test_tls_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    for config in (
        ServerConfig(certificate=tmp_path / "none.pem", key=key),
        ServerConfig(certificate=key, key=key),
        ServerConfig(certificate=cert),
        ServerConfig(key=key),
    ):
        with pytest.raises(ConfigurationError, match="--certificate"):
            certificate_of(config)
    assert certificate_of(ServerConfig()) is None
