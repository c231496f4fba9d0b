"""`POST /oauth/token`: a short token for a long-lived one, and what is refused; Snowflake's form of it over TLS."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import jsonschema_rs
import pytest

from api_server.config import ServerConfig
from api_server.http import bodies
from api_server.http.token_keys import keys_beside, rotate_keys
from api_server.http.tokens import create_token, revoke_token
from api_server.orders.feature import OrdersFeature
from flows_platform.access.exchange import ACCESS_TOKEN, GRANT, PROGRAMMATIC
from tests.fakes.certificates import Authority

from .conftest import Server, running
from .customer_reports import LIST, Warehouse, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXCHANGE = "/oauth/token"
ROWS = f"{LIST}/of_all"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def token(file: Path) -> str:
    return create_token(file, "long", ["reports:read", "flows:read"], NOW)


@pytest.fixture
def server(tmp_path: Path, file: Path, token: str) -> Iterator[Server]:
    with serving(tmp_path, Warehouse(), tokens=file) as server:
        yield server


def asked(token: str, **changes: str) -> dict[str, str]:
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return form | changes


def post(
    server: Server, body: str | bytes, kind: str = FORM, headers: Mapping[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", EXCHANGE, body, {"Content-Type": kind, **(headers or {})})
        response = connection.getresponse()
        return response, response.read()


def exchanged(server: Server, token: str, **changes: str) -> str:
    response, body = post(server, urlencode(asked(token, **changes)))
    assert response.status == 200, body
    return str(json.loads(body)["access_token"])


def error(server: Server, body: str | bytes, kind: str = FORM) -> tuple[int, str, str]:
    response, found = post(server, body, kind)
    assert (response.headers["Cache-Control"], response.headers["Content-Type"]) == ("no-store", "application/json")
    document = json.loads(found)
    assert set(document) == {"error", "error_description"}
    return response.status, document["error"], document["error_description"]


def status(server: Server, header: str, path: str = ROWS) -> int:
    return server.get(path, Authorization=header)[0].status


def test_the_answer_is_that_of_the_rfc(server: Server, token: str) -> None:
    response, body = post(server, urlencode(asked(token, scope="reports:of_all", unknown="x", requested_token_type="")))
    document = json.loads(body)
    assert response.headers["Cache-Control"] == "no-store"
    assert document.pop("access_token").startswith("flowss_")
    assert document == {
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "reports:of_all",
    }
    described = json.loads(server.get("/openapi.json")[1])["paths"][EXCHANGE]["post"]
    schema = described["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(schema, json.loads(body))
    form = described["requestBody"]["content"][FORM]["schema"]
    jsonschema_rs.validate(form, asked(token, scope="reports:of_all"))


def test_a_short_token_opens_what_its_scope_says(server: Server, token: str) -> None:
    short = exchanged(server, token)
    for header in (f"Bearer {short}", f'Snowflake Token="{short}"', f'snowflake  token="{token}"'):
        assert status(server, header) == 200
    for header in (f"Snowflake {short}", f'Snowflake Token="{short}', f'Bearer "{short}"', f'Basic Token="{short}"'):
        assert status(server, header) == 401
    one = exchanged(server, token, scope="reports:of_all")
    assert [status(server, f"Bearer {one}", path) for path in (ROWS, f"{LIST}/of_customer")] == [200, 403]
    assert exchanged(server, token) != token


def test_a_scope_of_a_report_that_there_is_not_is_refused(server: Server, file: Path, token: str) -> None:
    status_, code, said = error(server, urlencode(asked(token, scope="reports:of_all reports:of_al")))
    assert (status_, code) == (400, "invalid_scope")
    assert "reports:of_al" in said
    single = create_token(file, "single", ["reports:gone", "reports:of_all"], NOW)
    assert error(server, urlencode(asked(single, scope="reports:gone")))[1] == "invalid_scope"
    for other in ("reports:of_customer", "reports:of_customers"):  # whether or not there is such a report
        assert error(server, urlencode(asked(single, scope=other)))[2] == f"The token lacks the scope '{other}'."
    kept = json.loads(post(server, urlencode(asked(single)))[1])
    assert kept["scope"] == "reports:gone reports:of_all"  # what nobody asked for is the token's own


def test_a_server_without_reports_has_no_scope_of_one(tmp_path: Path, file: Path, token: str) -> None:
    with running(ServerConfig(tokens=file), [OrdersFeature(tmp_path)]) as server:
        assert error(server, urlencode(asked(token, scope="reports:of_all")))[1] == "invalid_scope"
        assert exchanged(server, token, scope="reports:read flows:read")


def test_it_ends_with_its_parent_and_its_key(server: Server, file: Path, token: str) -> None:
    short = f"Bearer {exchanged(server, token)}"
    rotate_keys(keys_beside(file))
    assert status(server, short) == 200
    rotate_keys(keys_beside(file))
    assert status(server, short) == 401
    fresh = f"Bearer {exchanged(server, token)}"
    assert status(server, fresh) == 200
    revoke_token(file, "long")
    assert status(server, fresh) == 401


def test_an_expired_token_is_refused(server: Server, file: Path) -> None:
    old = create_token(file, "old", ["reports:read"], NOW, expires=NOW + timedelta(days=1))
    response, body = server.get(ROWS, Authorization=f"Bearer {old}")
    assert response.status == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert json.loads(body)["detail"] == "The token old has expired: create another."
    code = error(server, urlencode(asked(old)))
    assert code == (400, "invalid_request", "subject_token: The token old has expired: create another.")


def test_snowflakes_type_gets_the_bare_token(server: Server, token: str) -> None:
    form = asked(token + "\n", subject_token_type=PROGRAMMATIC, scope="session:scope:PUBLIC 127.0.0.1")
    response, body = post(server, urlencode(form))
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert status(server, f'Snowflake Token="{body.decode()}"') == 200


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type", "grant_type must be urn:"),
        ({"grant_type": ""}, "unsupported_grant_type", "grant_type must be urn:"),
        ({"subject_token": ""}, "invalid_request", "subject_token: The token is not known here."),
        ({"subject_token": "flows_none"}, "invalid_request", "subject_token: The token is not known here."),
        ({"subject_token": "\u00e9"}, "invalid_request", "subject_token: The token is not known here."),
        ({"subject_token_type": "jwt"}, "invalid_request", "subject_token_type must be urn:"),
        ({"requested_token_type": "jwt"}, "invalid_request", "requested_token_type must be urn:"),
        ({"scope": "cves:read"}, "invalid_scope", "The token lacks the scope 'cves:read'."),
        ({"scope": "session:scope:A b c"}, "invalid_scope", "lacks the scope 'session:scope:A'"),
    ],
)
def test_errors_are_those_of_the_rfc(server: Server, token: str, changes: dict[str, str], code: str, said: str) -> None:
    found = error(server, urlencode(asked(token, **changes)))
    assert found[:2] == (400, code)
    assert said in found[2]
    assert token not in found[2]


def test_a_short_token_is_no_subject(server: Server, token: str) -> None:
    short = exchanged(server, token)
    assert "use the long-lived one" in error(server, urlencode(asked(short)))[2]


def test_no_token_is_written_anywhere(server: Server, token: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("api_server", "uvicorn"):  # their lines do not propagate
        logging.getLogger(name).addHandler(caplog.handler)
    short = exchanged(server, token)
    answers = [
        server.get(target, Authorization=header)[1]
        for target in (f"/{short}", f"/?{short}", f"{ROWS}?top={short}", f"{ROWS}?{short}=1", f"{LIST}/{short}")
        for header in (f"Bearer {short}", f"Bearer {short}x", short)
    ]
    answers += [post(server, urlencode(asked(token, scope=text)))[1] for text in (short, token)]
    answers += [post(server, urlencode({"grant_type": text, "subject_token_type": text}))[1] for text in (short, token)]
    assert all(text.encode() not in answer for answer in answers for text in (short, token))
    assert not any(text in caplog.text for text in (short, token))


def test_other_bodies_are_refused(server: Server, token: str) -> None:
    form = urlencode(asked(token))
    assert error(server, form, "application/json")[:2] == (400, "invalid_request")
    assert "repeated" in error(server, f"{form}&subject_token={token}")[2]
    assert "not a form" in error(server, form.encode() + b"\xff")[2]
    assert "not a form" in error(server, "&".join(f"a{number}=1" for number in range(40)))[2]
    assert error(server, f"{form}&x={'x' * 4096}")[:2] == (413, "invalid_request")
    assert server.get(EXCHANGE)[0].status == 405
    response, body = server.get(f"{EXCHANGE}?subject_token={token}", "POST")
    assert response.status == 400
    assert token.encode() not in body


def test_a_body_without_a_length_is_capped_while_it_is_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        head = (
            f"POST {EXCHANGE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall(head.encode() + b"1001\r\n" + b"x" * 4097 + b"\r\n")  # its end never comes
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_has_a_deadline(tmp_path: Path, file: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_server.http.shared.BODY_SECONDS", 0.05)
    assert bodies.CLOSE == {"Connection": "close"}
    with (
        serving(tmp_path, Warehouse(), tokens=file) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as client,
    ):
        head = f"POST {EXCHANGE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 10\r\n\r\n"
        client.sendall(head.encode() + b"a=1")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_files_that_cannot_be_used_are_a_503(
    server: Server, file: Path, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    short = exchanged(server, token)
    keys_beside(file).chmod(0o644)
    response, body = server.get(ROWS, Authorization=f"Bearer {short}")
    assert (response.status, json.loads(body)["type"]) == (503, "/#tokens-unavailable")
    assert str(file.parent).encode() not in body
    assert post(server, urlencode(asked(token)))[0].status == 503
    assert status(server, f"Bearer {token}") == 200
    keys_beside(file).chmod(0o600)
    assert status(server, f"Bearer {short}") == 200


def test_a_server_without_tokens_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, Warehouse()) as server:
        assert "asks for no tokens" in error(server, urlencode(asked("x")))[2]
        assert status(server, 'Snowflake Token="{}"') == 200


GUIDE_CLIENT = Path(__file__).with_name("guide_client.py")
GUIDE_PAGE = Path(__file__).with_name("guide_page.py")


@pytest.fixture
def secure(tmp_path: Path, file: Path, token: str) -> Iterator[tuple[Server, Path]]:
    """A server over TLS, and the file of its CA."""
    authority = Authority.named("ca", tmp_path)
    issued = authority.issue("server", identified=True)
    with serving(tmp_path, Warehouse(), tokens=file, certificate=issued.certificate, key=issued.key) as server:
        yield server, authority.path


def run_client(folder: Path, ca: Path, server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    host = f"127.0.0.1:{server.port}"
    endpoint = f"https://{host}/connector/customers/ann?top=3"
    argv = ["--account_url", host, "--role", "public", "--endpoint", endpoint, *words]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(ca)}
    return subprocess.run(
        [sys.executable, str(GUIDE_CLIENT), *argv],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def test_a_command_line_client_of_snowflake_works_over_tls(
    tmp_path: Path, secure: tuple[Server, Path], token: str
) -> None:
    server, ca = secure
    folder = tmp_path / "client"
    folder.mkdir()
    assert "No PAT found" in run_client(folder, ca, server).stderr
    (folder / "my-token-secret.txt").write_text(f"{token}\n")  # its line end is not stripped
    (folder / "other.txt").write_text(token)
    for words in ((), ("--pat", token), ("--patfile", "other.txt")):
        done = run_client(folder, ca, server, *words)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [{"CUSTOMER": "ann", "TOTAL": "1.5"}]
    refused = json.loads(run_client(folder, ca, server, "--pat", "flows_none").stdout)
    assert (refused["status"], refused["type"]) == (401, "/#unauthorized")


def test_a_page_of_snowflakes_form_works_over_tls(
    tmp_path: Path, secure: tuple[Server, Path], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415  takes two seconds

    server, ca = secure
    host = f"127.0.0.1:{server.port}"
    (tmp_path / "my-token-secret.txt").write_text(f"{token}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    page = AppTest.from_file(str(GUIDE_PAGE), default_timeout=60).run()
    for index, text in enumerate((host, "public", f"https://{host}{ROWS}")):
        page.text_input[index].input(text)
    page.button[0].click().run()
    assert not page.exception
    assert json.loads(page.json[0].value)["rows"] == [{"customer": "all", "total": 1.5}]
