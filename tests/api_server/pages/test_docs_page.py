"""The page at `/docs` has what the OpenAPI description has."""

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from api_server.http.tokens import Scope, create_token
from tests.api_server.conftest import Server, build, build_cves, configured, flows, running
from tests.sources.nvd_cves.cve_objects import cve


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    tokens = tmp_path / "tokens.json"
    create_token(tokens, "one", [Scope.FLOWS_READ], datetime(2024, 1, 1, tzinfo=UTC))
    cves = build_cves(tmp_path / "cves.db", [cve(number) for number in range(1, 5)])
    config, features = configured(build(tmp_path / "flows.db", flows(10)), cves, tokens=tokens)
    with running(config, features) as server:
        yield server


def test_every_operation_is_described(server: Server) -> None:
    document = json.loads(server.get("/openapi.json")[1])
    root: Any = html.document_fromstring(server.get("/docs")[1])
    shown = {one.get("id"): " ".join("".join(one.itertext()).split()) for one in root.xpath("//details")}
    operations = {
        operation["operationId"]: (path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "head"
    }
    assert shown.keys() == operations.keys() | {f"schema-{name}" for name in document["components"]["schemas"]}
    for name, (path, operation) in operations.items():
        assert f"{path} {operation['summary']}" in shown[name]
        for parameter in operation.get("parameters", []):
            assert parameter["name"] in shown[name]
        for status, answer in operation["responses"].items():
            assert f"{status}{answer['description']}" in shown[name].replace(f"{status} ", status)
    links = {link for link in root.xpath("//main//@href") if link.startswith("#")}
    assert links <= {f"#{name}" for name in shown}


def test_its_commands_are_requests(server: Server) -> None:
    root: Any = html.document_fromstring(server.get("/docs")[1])
    commands = [shlex.split(pre.text) for pre in root.xpath("//h3[text()='As curl']/following-sibling::pre[1]")]
    assert all(words[0] == "curl" and words[-1].startswith(f"http://127.0.0.1:{server.port}/") for words in commands)
    secured = [words for words in commands if "Authorization: Bearer $TOKEN" in words]
    assert 0 < len(secured) < len(commands)


def test_it_takes_no_parameters(server: Server) -> None:
    response, body = server.get("/docs?x=1")
    assert (response.status, response.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "there is no parameter" in body.decode()
