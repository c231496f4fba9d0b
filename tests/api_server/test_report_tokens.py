"""Tokens of single reports, and tokens that fix parameters: what they may see, ask and get."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from api_server import reports
from api_server.flows import paths as flow_paths
from api_server.http.problems import Problem
from api_server.http.tokens import Grant, Scope, create_token, read_tokens
from api_server.reports.access import asked_by
from api_server.reports.requests import Shown
from flows_platform.domain.errors import ConfigurationError
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.encode import USUAL

from .conftest import Serve, Server, build, flows
from .customer_reports import LIST, REPORTS, Warehouse, service_of, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, ALL = f"{LIST}/of_customer", f"{LIST}/of_all"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def server(tmp_path: Path, file: Path, warehouse: Warehouse) -> Iterator[Server]:
    create_token(file, "first", [], NOW)
    with serving(tmp_path, warehouse, tokens=file) as server:
        yield server


def ask(server: Server, path: str, token: str) -> tuple[int, dict[str, Any]]:
    response, body = server.get(path, Authorization=f"Bearer {token}")
    return response.status, json.loads(body)


def post(server: Server, path: str, token: str, given: dict[str, object]) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", f"{path}/query", json.dumps(given), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def names(server: Server, token: str) -> list[str]:
    return [report["name"] for report in ask(server, LIST, token)[1]["reports"]]


def test_a_token_of_one_report_sees_no_other(server: Server, file: Path, warehouse: Warehouse) -> None:
    token = create_token(file, "one", ["reports:of_customer"], NOW)
    assert names(server, token) == ["of_customer"]
    for path in (ONE, f"{ONE}.csv", f"{ONE}/schema"):
        assert server.get(path, Authorization=f"Bearer {token}")[0].status == 200
    assert post(server, ONE, token, {})[0] == 200
    assert ask(server, f"{ONE}?tpo=1", token)[0] == 400
    asked = len(warehouse.asked)
    other = create_token(file, "other", ["reports:of_all"], NOW)
    assert "allowed" not in ask(server, "/connector/customers/ann?tpo=1", other)[1]
    # Whether there is such a report is not said.
    for path in (ALL, f"{LIST}/none"):
        name = path.rpartition("/")[2]
        for target in (path, f"{path}.json", f"{path}/schema"):
            response, body = server.get(target, Authorization=f"Bearer {token}")
            assert (response.status, json.loads(body)["detail"]) == (403, f"The token lacks the scope reports:{name}.")
            assert f'scope="reports:{name}"' in response.headers["WWW-Authenticate"]
        assert post(server, path, token, {})[0] == 403
    assert len(warehouse.asked) == asked
    response, _ = server.get(f'{LIST}/a"b', Authorization=f"Bearer {token}")
    assert response.headers["WWW-Authenticate"].endswith('scope="reports:read"')


def test_near_names_are_those_that_the_token_sees(server: Server, file: Path) -> None:
    token = create_token(file, "all", ["reports:read"], NOW)
    assert names(server, token) == ["of_customer", "of_all"]
    assert ask(server, f"{LIST}/of_al", token)[1]["allowed"] == ["of_all"]
    fixed = create_token(file, "fixed", ["reports:read"], NOW, fixed={"customer": "bob"})
    status, problem = ask(server, f"{LIST}/of_al", fixed)
    assert (status, problem.get("allowed", [])) == (404, [])


def test_a_fixed_parameter_bounds_every_answer(server: Server, file: Path, warehouse: Warehouse) -> None:
    token = create_token(file, "bob", ["reports:read"], NOW, fixed={"customer": "bob"})
    status, document = ask(server, f"{ONE}?top=5", token)
    assert (status, document["rows"], document["parameters"]["customer"]) == (
        200,
        [{"customer": "bob", "total": 1.5}],
        "bob",
    )
    assert ask(server, f"{ONE}?customer=bob", token)[0] == 200
    assert post(server, ONE, token, {"customer": "bob"})[1]["rows"] == document["rows"]
    asked = len(warehouse.asked)
    for status, problem in (
        ask(server, f"{ONE}?customer=ann", token),
        ask(server, f"{ONE}.json?customer=", token),
        post(server, ONE, token, {"customer": "ann"}),
    ):
        assert (status, problem["type"], problem["parameter"]) == (403, "/#fixed-parameter", "customer")
        assert problem["detail"] == "The token fixes customer: leave it out."
    assert post(server, ONE, token, {"customer": ["bob"]})[0] == 400
    assert len(warehouse.asked) == asked
    assert {values["customer"] for values in warehouse.asked} == {"bob"}


def test_a_fixed_parameter_bounds_further_paths(server: Server, file: Path, warehouse: Warehouse) -> None:
    token = create_token(file, "bob", ["reports:of_customer"], NOW, fixed={"customer": "bob"})
    response, body = server.get("/connector/customers/bob", Authorization=f"Bearer {token}")
    assert (response.status, json.loads(body)) == (200, [{"CUSTOMER": "bob", "TOTAL": "1.5"}])
    status, problem = ask(server, "/connector/customers/ann", token)
    assert (status, problem["parameter"]) == (403, "customer")
    other = create_token(file, "other", ["reports:of_all"], NOW)
    assert ask(server, "/connector/customers/ann", other)[0] == 403
    assert [values["customer"] for values in warehouse.asked] == ["bob"]


def test_a_report_without_the_parameter_is_not_there(server: Server, file: Path, warehouse: Warehouse) -> None:
    token = create_token(file, "bob", ["reports:read"], NOW, fixed={"customer": "bob"})
    single = create_token(file, "single", ["reports:of_all"], NOW, fixed={"customer": "bob"})
    assert (names(server, token), names(server, single)) == (["of_customer"], [])
    for path in (ALL, f"{ALL}/schema"):
        assert (ask(server, path, token)[0], ask(server, path, single)[0]) == (404, 403)
    assert post(server, ALL, token, {})[0] == 404
    assert not warehouse.asked


CSV = Shown(WireFormat.CSV, USUAL)


def test_no_path_asks_without_the_token(tmp_path: Path, warehouse: Warehouse) -> None:
    """Also one that does not look the report up by the token."""
    request = Request({"type": "http", "state": {"grant": Grant("one", ("reports:of_all",))}})
    with closing(service_of(tmp_path, warehouse)) as service:
        assert asked_by(request, service, REPORTS[1], {"top": "1"}, CSV).values == {"top": 1}
        with pytest.raises(Problem, match="lacks the scope reports:of_customer"):
            asked_by(request, service, REPORTS[0], {}, CSV)
    sources = Path(reports.__file__).parent.glob("*.py")
    assert [path.name for path in sources if ".asked(" in path.read_text()] == ["access.py"]


def test_list_and_schema_leave_fixed_parameters_out(server: Server, file: Path) -> None:
    token = create_token(file, "bob", ["reports:read"], NOW, fixed={"customer": "bob", "top": "5"})
    (listed,) = ask(server, LIST, token)[1]["reports"]
    assert [parameter["name"] for parameter in listed["parameters"]] == ["kinds", "least"]
    assert listed["fixed"] == {"customer": "bob", "top": "5"}
    schema = ask(server, f"{ONE}/schema", token)[1]["$defs"]["Parameters"]
    assert set(schema["properties"]) == {"kinds", "least"}


@pytest.mark.parametrize(
    ("fixed", "query", "status"),
    [
        ({"least": "1.50"}, "least=1.5", 200),
        ({"least": "1.50"}, "least=1.51", 403),
        ({"kinds": "a,b"}, "kinds=a,b", 200),
        ({"kinds": "a,b"}, "kinds=a", 403),
        ({"top": "5"}, "top=6", 403),
        ({"top": "500"}, "", 400),
    ],
)
def test_values_are_compared_and_checked_by_type(
    server: Server, file: Path, fixed: dict[str, str], query: str, status: int
) -> None:
    token = create_token(file, "fixed", ["reports:read"], NOW, fixed=fixed)
    assert ask(server, f"{ONE}?{query}", token)[0] == status


def test_strangers_see_no_names_of_reports(tmp_path: Path, server: Server, file: Path) -> None:
    everything = create_token(file, "all", ["reports:read"], NOW)
    for token, shown in [
        (everything, True),
        (create_token(file, "one", ["reports:of_customer"], NOW), False),
        (create_token(file, "fixed", ["reports:read"], NOW, fixed={"customer": "bob"}), False),
        (create_token(file, "flows", ["flows:read"], NOW), False),
        ("flows_none", False),
        ("", False),
    ]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response, body = server.get("/openapi.json", **headers)
        assert (response.status, b"of_customer" in body) == (200, shown)
        assert LIST in json.loads(body)["paths"]
    assert b"of_customer" not in server.get("/")[1]
    (tmp_path / "open").mkdir()
    with serving(tmp_path / "open", Warehouse()) as other:
        assert b"of_customer" in other.get("/")[1]


def test_fixed_parameters_open_nothing_but_reports(serve: Serve, tmp_path: Path, file: Path) -> None:
    token = create_token(file, "wide", list(Scope), NOW, fixed={"customer": "bob"})
    server = serve(build(tmp_path / "flows.db", flows(10)), tokens=file)
    for path in (flow_paths.STREAM, "/api/v1/flows/latest", "/api/v1/cves"):
        assert server.get(path, Authorization=f"Bearer {token}")[0].status == 403
    assert not Grant("x", tuple(Scope), {"customer": "bob"}).allows(Scope.FLOWS_READ)


def test_a_file_with_a_limit_that_is_unknown_is_refused(file: Path) -> None:
    create_token(file, "one", ["reports:of_customer"], NOW, fixed={"customer": "bob"}, expires=NOW)
    (entry,) = read_tokens(file)
    assert (entry.scopes, entry.fixed, entry.expires) == (
        ("reports:of_customer",),
        {"customer": "bob"},
        "2026-01-01T00:00:00+00:00",
    )
    written = json.loads(file.read_text())["tokens"][0]
    for change in ({"networks": ["10.0.0.0/8"]}, {"expires": "soon"}, {"expires": "2026-01-01"}, {"fixed": ["x"]}):
        file.write_text(json.dumps({"tokens": [written | change]}))
        with pytest.raises(ConfigurationError, match="is not a token file"):
            read_tokens(file)
