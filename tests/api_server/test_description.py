"""The OpenAPI description agrees with itself and with the server; the page's links and commands work."""

import json
import re
import shlex
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from api_server.cves import paths as cve_paths
from api_server.flows import paths as flow_paths
from api_server.http import paths
from flows_platform.formats.protocol.names import CONTENT_TYPES
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.nvd_cves.schema import NOTICE
from tests.sources.nvd_cves.cve_objects import cve

from .conftest import Serve, Server, build, build_cves, flows, openapi_document

METHODS = ("get", "head")


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    cves = build_cves(tmp_path / "cves.db", [cve(number) for number in range(1, 5)])
    return serve(build(tmp_path / "flows.db", flows(200_000)), cves_url=cves)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in openapi_document()["paths"].items():
        for method in METHODS:
            yield path, method, item[method]


def test_it_is_what_the_server_gives(server: Server) -> None:
    response, body = server.get(paths.OPENAPI)
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(body) == openapi_document()
    assert json.loads(body)["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere() -> None:
    schemas = openapi_document()["components"]["schemas"]
    references = {node["$ref"] for node in nodes(openapi_document()) if "$ref" in node}
    assert references == {f"#/components/schemas/{name}" for name in schemas}


def test_operations_are_complete() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for path, _, operation in operations():
        assert operation["summary"]
        assert {"200", "400", "500", "503"} <= set(operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == ("path" if f"{{{parameter['name']}}}" in path else "query")
            assert parameter["schema"]["type"] in {"integer", "string"}
        has_choice = path in {flow_paths.STREAM, cve_paths.CVES, cve_paths.CVE, *cve_paths.TOTALS}
        assert ("406" in operation["responses"]) == has_choice


def test_the_record_has_the_columns() -> None:
    record = openapi_document()["components"]["schemas"]["Record"]
    assert tuple(record["properties"]) == tuple(record["required"]) == FLOWS.names


def test_answers_are_as_described(server: Server) -> None:
    for path, method, operation in operations():
        response, body = server.get(path.format(id="CVE-2024-0001"), method.upper())
        described = operation["responses"][str(response.status)]
        assert response.status == 200
        for name, header in described.get("headers", {}).items():
            assert response.headers[name] is not None or not header["required"]
        if method == "get":
            assert response.headers["Content-Type"].partition(";")[0] in described["content"]
        else:
            assert body == b""


def test_every_format_is_described_and_served(server: Server) -> None:
    content = openapi_document()["paths"][flow_paths.STREAM]["get"]["responses"]["200"]["content"]
    assert set(content) == set(CONTENT_TYPES.values())
    for content_type in content:
        response, _ = server.get(f"{flow_paths.STREAM}?limit=1", Accept=content_type)
        assert response.headers["Content-Type"].startswith(content_type)


def test_the_links_of_the_page_work(server: Server) -> None:
    response, body = server.get("/")
    page = body.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "200,000" in page
    assert "$" not in page
    links = {unescape(link) for link in re.findall(r'href="(/[^"]*)"', page)}
    assert len(links) >= 9
    for link in links:
        assert server.get(link)[0].status == 200, link


def test_the_commands_of_the_page_work(server: Server) -> None:
    page = server.get("/")[1].decode()
    commands = re.findall(r"^curl .*$", unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]), re.MULTILINE)  # type: ignore[index]
    assert len(commands) == 4
    assert NOTICE in page
    for command in commands:
        url = next(word for word in shlex.split(command) if word.startswith("http"))
        base = f"http://127.0.0.1:{server.port}"
        assert url.startswith(base)
        response, _ = server.get(url.removeprefix(base))
        assert int(response.headers["Record-Count"]) > 0
