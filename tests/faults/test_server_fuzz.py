"""Requests of every kind against the running server: no 5xx, and each answer is one that the description allows."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote_from_bytes

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.definitions import OPENAPI_31

from api_server.cves import paths as cve_paths
from api_server.flows import paths as flow_paths
from api_server.http import paths
from flows_platform.formats.protocol.names import CONTENT_TYPES, WireFormat
from flows_platform.sources.nvd_cves.filters import CveFilter
from tests.api_server.conftest import Server, build, build_cves, configured, flows, openapi_document, running
from tests.faults.scale import scaled
from tests.sources.nvd_cves.cve_objects import cve

# Operations with parameters (six of streams, twelve of CVEs), valid and not, and two raw ways: 26,000 requests in all.
EXAMPLES = scaled(full=500, ci=8)
OPERATIONS = 18
RAW = scaled(full=4_000, ci=100)
ROWS = 300
# That these are the right way round cannot be said in JSON Schema.
ORDERED = (("scanned_after", "scanned_before"), ("min_score", "max_score"))
PLAIN = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], print_blob=False
)
VALIDATORS = {
    name: jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", **openapi_document()})
    for name in openapi_document()["components"]["schemas"]
}
CVE_TEXTS = ["CVE-2024-0001", "HIGH", "NETWORK", "9.8", "10.0", "2024-01-01", "2024-01-01T00:00:00Z", "A", "%00", "%"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fuzz")
    cves = build_cves(folder / "cves.db", [cve(number) for number in range(1, 51)])
    with running(*configured(build(folder / "flows.db", flows(ROWS)), cves_url=cves)) as server:
        yield server


@pytest.mark.parametrize("secured", [False, True])
def test_the_description_is_valid(secured: bool) -> None:  # noqa: FBT001  pytest gives it by name
    """By the OpenAPI initiative's own schema of 3.1, and as JSON Schema of 2020-12 inside."""
    described = json.loads(json.dumps(openapi_document(secured=secured)))
    jsonschema_rs.validate(OPENAPI_31, described)
    for schema in described["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": described["jsonSchemaDialect"], **schema})


def operations(server: Server) -> Iterator[Any]:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}{paths.OPENAPI}")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


@pytest.mark.faults
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_described(server: Server, mode: schemathesis.GenerationMode) -> None:
    sent = 0
    for operation in operations(server):
        has_parameters = "parameters" in operation.definition.raw
        if mode is schemathesis.GenerationMode.NEGATIVE and not has_parameters:
            continue  # nothing there to get wrong

        @seed(0)
        @settings(PLAIN, max_examples=EXAMPLES if has_parameters else 1)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            nonlocal sent
            sent += 1
            for pair in ORDERED if mode is schemathesis.GenerationMode.POSITIVE else ():
                if all(name in case.query for name in pair):
                    case.query.update(zip(pair, sorted((case.query[name] for name in pair), key=float), strict=True))
            case.call_and_validate()

        check()
    assert sent >= OPERATIONS * EXAMPLES


STREAM_NAMES = [b"scanned_after", b"scanned_before", b"limit", b"format", b"footer", b"digest", b"", b"x"]
CVE_NAMES = [name.encode() for name in (*CveFilter.__dataclass_fields__, "cursor", "limit", "min_date", "format")]
VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(lambda number: str(number).encode()),
    st.integers(0, 40).map(lambda number: str(number).encode()),
    st.sampled_from([*(name.encode() for name in CONTENT_TYPES), b"0", b"1", b"1e3", b"1_0", b"%D9%A3", b"", b"\0"]),
    st.sampled_from([text.encode() for text in CVE_TEXTS]),
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda data: quote_from_bytes(data).encode()),
)


def queries(names: list[bytes]) -> st.SearchStrategy[bytes]:
    pairs = st.tuples(st.sampled_from(names), VALUES).map(b"=".join)
    return st.one_of(st.lists(pairs, max_size=6).map(b"&".join), st.binary(max_size=200))


ACCEPTS = st.sampled_from([b"*/*", b"text/csv", b"application/json;q=0, */*;q=0.1", b"image/png", b"\xff", b";;,"])
IDS = st.one_of(
    st.sampled_from([b"CVE-2024-0001", b"CVE-1999-0001", b"cve-2024-0001", b"%00", b"CVE-2024-0001%0A"]),
    st.binary(min_size=1, max_size=20).map(lambda data: quote_from_bytes(data, safe="").encode()),
)


def request(server: Server, method: str, target: bytes, accept: bytes) -> tuple[HTTPResponse, bytes]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n" % (method.encode(), target, accept))
        response = HTTPResponse(client, method=method)
        response.begin()
        return response, response.read()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("described", "names"),
    [(sorted(flow_paths.STREAMS), STREAM_NAMES), ([cve_paths.CVES, cve_paths.CVE, *cve_paths.TOTALS], CVE_NAMES)],
    ids=["streams", "cves"],
)
def test_no_raw_query_breaks_the_server(server: Server, described: list[str], names: list[bytes]) -> None:
    operations = openapi_document()["paths"]
    sent = 0

    @seed(0)
    @settings(PLAIN, max_examples=RAW)
    @given(st.sampled_from(described), st.sampled_from(["GET", "HEAD"]), queries(names), ACCEPTS, IDS)
    def check(path: str, method: str, query: bytes, accept: bytes, cve_id: bytes) -> None:
        nonlocal sent
        sent += 1
        target = path.encode().replace(b"{id}", cve_id) + b"?" + query
        response, body = request(server, method, target, accept)
        assert response.status < 500
        answer = operations[path][method.lower()]["responses"][str(response.status)]
        content_type = response.headers["Content-Type"].partition(";")[0]
        assert method == "HEAD" or content_type in answer["content"]
        if body and content_type.endswith("json") and content_type != CONTENT_TYPES[WireFormat.NDJSON]:
            name = answer["content"][content_type]["schema"]["$ref"].rpartition("/")[2]
            VALIDATORS[name].validate(json.loads(body))

    check()
    assert sent >= RAW
    assert server.get("/healthz")[0].status == 200


CVE_ANSWERS = ((cve_paths.CVES, "CvePage"), (cve_paths.CVE.format(id="CVE-2024-0001"), "CveAnswer"))


def test_plain_answers_fit_their_schemas(server: Server) -> None:
    for path, name in (
        (flow_paths.LATEST, "Latest"),
        (paths.HEALTH, "Health"),
        (f"{flow_paths.STREAM}?digest=1", "Records"),
        *CVE_ANSWERS,
    ):
        VALIDATORS[name].validate(json.loads(server.get(path)[1]))
