"""Refusals over HTTP: problem documents that say which parameter and what is allowed, and no internals."""

import json
import socket
from pathlib import Path

import pytest

from api_server.flows.streams import StreamOpener
from api_server.http import problems

from .conftest import Serve, Server, build, flows

STREAM = "/api/v1/stream/flows"


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    return serve(build(tmp_path / "flows.db", flows(20)))


@pytest.mark.parametrize(
    ("path", "method", "headers", "status", "members"),
    [
        (f"{STREAM}?limit=0", "GET", {}, 400, {"parameter": "limit"}),
        (f"{STREAM}?scanned_after=-1", "GET", {}, 400, {"parameter": "scanned_after"}),
        (f"{STREAM}?format=yaml", "GET", {}, 400, {"allowed": "arrow, ndjson, json, csv, xml"}),
        (f"{STREAM}.json?format=xml", "GET", {}, 400, {"parameter": "format", "allowed": "json"}),
        (f"{STREAM}?scanned_after=2&scanned_before=1", "GET", {}, 400, {"parameter": "scanned_after"}),
        ("/healthz?x=1", "GET", {}, 400, {"parameter": "x", "allowed": "no parameter"}),
        (STREAM, "GET", {"Accept": "image/png"}, 406, {}),
        ("/nowhere", "GET", {}, 404, {}),
        (f"{STREAM}/", "GET", {}, 404, {}),
        (STREAM, "POST", {}, 405, {}),
        ("/", "DELETE", {}, 405, {}),
    ],
)
def test_refusals(
    server: Server, path: str, *, method: str, headers: dict[str, str], status: int, members: dict[str, str]
) -> None:
    response, body = server.get(path, method, **headers)
    document = json.loads(body)
    assert response.status == document["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert document["instance"] == path.partition("?")[0]
    assert document["type"].removeprefix("/#") in problems.REFUSALS
    assert {"title", "detail"} < set(document)
    assert members.items() <= document.items()
    assert (response.headers["Allow"] is not None) == (status == 405)


def test_a_refused_head_has_no_body(server: Server) -> None:
    response, body = server.get(f"{STREAM}?limit=0", "HEAD")
    assert (response.status, body) == (400, b"")


def test_a_header_beyond_the_cap_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        sent = 0
        try:
            while sent < 64 * 2**20:
                sent += client.send(b"X: " + b"y" * 2**16)
        except ConnectionError:
            pass  # the server has closed
    assert sent < 16 * 2**20  # what the kernel's buffers take


def test_a_failure_before_the_body_shows_no_internals(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret inner working")

    monkeypatch.setattr(StreamOpener, "open", fail)
    response, body = server.get(STREAM)
    assert response.status == 500
    assert json.loads(body)["type"] == "/#internal-error"
    assert b"secret" not in body
