"""A server answers to its own names: a page whose name was rebound to this machine reads nothing."""

import json
from pathlib import Path

import pytest

from api_server.flows import paths as flow_paths
from api_server.http import paths
from tests.api_server.conftest import Serve, Server, build, flows


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    return serve(build(tmp_path / "flows.db", flows(10)), hosts=("flows.example.com", "b.example.com:8443"))


@pytest.mark.parametrize(
    "path", [flow_paths.STREAM, flow_paths.LATEST, paths.HEALTH, paths.OPENAPI, paths.INDEX, "/nowhere"]
)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8040", "localhost.evil.example", "10.0.0.1"])
def test_another_name_is_refused_on_every_path(server: Server, path: str, host: str) -> None:
    response, body = server.get(path, Host=host)
    assert (response.status, response.headers["Content-Type"]) == (421, "application/problem+json")
    problem = json.loads(body)
    assert (problem["type"], problem["title"]) == ("/#unknown-host", "Misdirected Request")
    assert "FLOWS_ALLOWED_HOSTS" in problem["detail"]
    assert "Record-Count" not in response.headers


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8040", "[::1]", "LOCALHOST:1", "flows.example.com", "B.example.com."]
)
def test_its_own_names_are_answered(server: Server, host: str) -> None:
    response, body = server.get(flow_paths.STREAM, Host=host)
    assert (response.status, len(json.loads(body)["records"])) == (200, 10)


def test_head_is_refused_too(server: Server) -> None:
    response, body = server.get(flow_paths.STREAM, "HEAD", Host="evil.example")
    assert (response.status, body) == (421, b"")


def test_the_refusal_is_described(server: Server) -> None:
    _, described = server.get(paths.OPENAPI)
    assert "421" in json.loads(described)["paths"][flow_paths.STREAM]["get"]["responses"]
    _, page = server.get(paths.INDEX)
    assert b"unknown-host" in page
