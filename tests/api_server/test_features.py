"""A server has the features it is given: one of CVEs alone needs no database of flows."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api_server.app import create_app
from api_server.config import ServerConfig
from api_server.cves import paths as cve_paths
from api_server.cves.feature import CveFeature
from api_server.flows import paths as flow_paths
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.http import paths
from api_server.http.feature import Description, Endpoint, Feature, PageSections
from api_server.http.openapi_parts import content, plain_path
from api_server.http.tokens import Scope, create_token
from api_server.orders.feature import OrdersFeature
from flows_platform.access import exchange
from tests.sources.nvd_cves.cve_objects import cve

from .conftest import Server, build, build_cves, flows, running

SHARED = {paths.HEALTH, paths.OPENAPI, paths.INDEX}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of CVEs alone."""
    cves = build_cves(tmp_path_factory.mktemp("cves") / "cves.db", [cve(number) for number in range(1, 4)])
    with running(ServerConfig(), [CveFeature(cves)]) as server:
        yield server


def test_cves_are_served_without_flows(server: Server) -> None:
    response, body = server.get(cve_paths.CVES)
    assert (response.status, len(json.loads(body)["cves"])) == (200, 3)
    assert json.loads(server.get(paths.HEALTH)[1]) == {"status": "ok"}
    assert server.get(flow_paths.STREAM)[0].status == server.get(flow_paths.LATEST)[0].status == 404


def test_the_description_has_only_what_is_served(server: Server) -> None:
    document = json.loads(server.get(paths.OPENAPI)[1])
    assert set(document["paths"]) == {cve_paths.CVES, *cve_paths.TOTALS, cve_paths.CVE} | SHARED
    assert document["info"]["title"] == "CVE API"
    references = set(re.findall('"#/components/schemas/([A-Za-z]+)"', json.dumps(document)))
    assert references == set(document["components"]["schemas"])
    assert "/#database-damaged" not in document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]


def test_a_server_of_several_features_has_a_title_for_all(tmp_path: Path) -> None:
    cves = build_cves(tmp_path / "cves.db", [cve(1)])
    with running(ServerConfig(), [CveFeature(cves), OrdersFeature(tmp_path)]) as server:
        info = json.loads(server.get(paths.OPENAPI)[1])["info"]
        assert info["title"] == "Data API"
        assert "TPC-H" in info["description"]
        assert "NVD" in info["description"]
        for path in (paths.INDEX, paths.DOCS):
            page = server.get(path)[1].decode()
            assert "Data API" in page
            assert "CVE API" not in page


def test_the_page_has_only_what_is_served(server: Server) -> None:
    page = server.get(paths.INDEX)[1].decode()
    assert "$" not in page
    assert "<h2>CVEs</h2>" in page
    assert flow_paths.STREAM not in page
    assert "rows held" not in page
    links = [unescape(link) for link in re.findall(r'href="(/[^"]*)"', page)]
    assert {server.get(link)[0].status for link in links} == {200}
    command = re.search(rf"curl 'http://127\.0\.0\.1:{server.port}([^']+)'", page)
    assert command
    assert server.get(unescape(command[1]))[0].status == 200


def test_flows_are_served_without_cves(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    header = f"Bearer {create_token(tokens, 'all', list(Scope), datetime.now(UTC))}"
    features = [FlowsFeature(FlowsConfig(build(tmp_path / "flows.db", flows(10))))]
    with running(ServerConfig(tokens=tokens), features) as server:
        assert server.get(flow_paths.STREAM, Authorization=header)[0].headers["Record-Count"] == "10"
        assert server.get(cve_paths.CVES, Authorization=header)[0].status == 404
        assert set(json.loads(server.get(paths.OPENAPI)[1])["paths"]) == flow_paths.SCOPES.keys() | SHARED | {
            exchange.PATH
        }
        page = server.get(paths.INDEX)[1].decode()
    assert Scope.FLOWS_READ in page
    assert Scope.CVES_READ not in page


class Greeting(Feature):
    """The least that a feature is."""

    source = "greetings"

    def __init__(self, scopes: Mapping[str, Scope]) -> None:
        self._scopes = scopes
        self.closed = False

    def description(self) -> Description:
        item = plain_path("greet", "A greeting.", content("text/plain", {"type": "string"}))
        return Description("Greetings", "Says hello.", {"/hello": item}, self._scopes, {})

    def endpoints(self) -> Mapping[str, Endpoint]:
        async def hello(_: Request) -> Response:
            return PlainTextResponse("hello")

        return {"/hello": hello}

    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        return PageSections(figures=f"<li>{base}{shows_data}</li>")

    def close(self) -> None:
        self.closed = True


def test_a_feature_of_another_kind_is_served_and_closed() -> None:
    feature = Greeting({"/hello": Scope.STATUS_READ})
    with running(ServerConfig(), [feature]) as server:
        assert server.get("/hello")[1] == b"hello"
        assert server.get(paths.HEALTH)[0].status == 200
        assert "/hello" in json.loads(server.get(paths.OPENAPI)[1])["paths"]
        assert not feature.closed
    assert feature.closed


def test_a_path_without_a_scope_is_not_served() -> None:
    with pytest.raises(KeyError, match="/hello"):
        create_app(ServerConfig(), [Greeting({})])
