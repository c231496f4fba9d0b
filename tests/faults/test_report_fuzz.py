"""Requests of every kind for reports: no 5xx, and each answer is one that the description allows."""

import json
import string
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
import schemathesis
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api_server.config import ServerConfig
from api_server.http import paths
from api_server.reports.feature import ReportsFeature
from flows_platform.columns.batches import arrow_schema
from flows_platform.formats.protocol.names import CONTENT_TYPES
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import ReportRunner, Rows
from flows_platform.reports.service import ReportService
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from tests.api_server.conftest import Server, running
from tests.api_server.test_report_forms import PLAIN, TOP10, YEARLY
from tests.api_server.test_reports import NEWEST, REPORT, TABLE, send
from tests.faults.scale import scaled
from tests.faults.test_server_fuzz import PLAIN as UNSHRUNK
from tests.faults.test_server_fuzz import request

# Operations of four reports and their further paths, valid and not, and raw queries: 10,000 requests in all.
EXAMPLES = scaled(full=210, ci=3)
OPERATIONS = 15  # whose values differ enough for that
RAW = scaled(full=2_000, ci=60)
REPORTS = [REPORT, *(ReportDeclaration.model_validate(one) for one in (TOP10, YEARLY, PLAIN))]
# That a range is not reversed or too long cannot be said in JSON Schema; and bodies may have numbers as texts, and
# times without a zone, which it cannot say either.
BEYOND_SCHEMAS = [positive_data_acceptance, negative_data_rejection]


class Answering(ReportRunner):
    """Answers with two rows."""

    def run(self, report: ReportDeclaration, _values: Mapping[str, Value], _label: str = "", /) -> Rows:
        if report is REPORT:
            return Rows(TABLE, 1.0)
        return Rows(pa.table([[1, None], [None, 1]], schema=arrow_schema(report.schema_of_rows)), 1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("reports")
    versions = Versions(folder / "versions.json")
    versions.committed("orders", NEWEST)
    service = ReportService(REPORTS, Answering(), VersionsFile(versions), AnswerCache(folder / "answers", disk=0))
    with running(ServerConfig(), [ReportsFeature(service)]) as server:
        yield server


def operations(server: Server) -> Iterator[Any]:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}{paths.OPENAPI}")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if "report" in operation.definition.raw["operationId"]:
            yield operation


@pytest.mark.faults
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_described(server: Server, mode: schemathesis.GenerationMode) -> None:
    sent = 0
    for operation in operations(server):
        raw = operation.definition.raw
        varies = bool(raw.get("parameters") or raw.get("requestBody"))
        if not varies and mode is schemathesis.GenerationMode.NEGATIVE:
            continue

        @seed(0)
        @settings(UNSHRUNK, max_examples=EXAMPLES if varies else 1)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            nonlocal sent
            sent += 1
            case.call_and_validate(excluded_checks=BEYOND_SCHEMAS)

        check()
    assert sent >= OPERATIONS * EXAMPLES


NAMES = [one.name for report in REPORTS for one in report.parameters] + ["format", "numbers", "shape", "", "x"]
TEXTS = ["1", "-1", "1e3", "1_0", "0.5", "true", "a", "a,b", "a,", "2024-02-29", "2024-02-30", "2024-01-01T00:00:00Z"]
TEXTS += ["2024-01-01T00:00:00+14:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "text", "rows"]
VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.text(max_size=300),
    st.text(string.digits + "-:TZ+.", max_size=30),
    st.sampled_from([*TEXTS, *CONTENT_TYPES]),
)
TARGETS = [
    *(f"/api/v1/reports/{report.name}" for report in REPORTS),
    *(f"/api/v1/reports/{report.name}.{ending}" for report in REPORTS for ending in ("csv", "arrow", "jsn")),
    *(path for report in REPORTS for path in report.paths),
]
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5)
ACCEPTS = st.sampled_from([b"*/*", b"text/csv", b"application/json;q=0, */*;q=0.1", b"image/png", b"\xff", b";;,"])


def escaped(text: str) -> bytes:
    return quote(text.encode("utf-8", "surrogatepass"), safe="").encode()


@pytest.mark.faults
def test_no_parameter_breaks_the_server(server: Server) -> None:
    sent = 0

    @seed(0)
    @settings(UNSHRUNK, max_examples=RAW)
    @given(st.sampled_from(TARGETS), st.sampled_from(["GET", "HEAD"]), PAIRS, ACCEPTS, VALUES)
    def check(target: str, method: str, pairs: list[tuple[str, str]], accept: bytes, in_path: str) -> None:
        nonlocal sent
        sent += 1
        path = target.encode()
        for name in ("{clerk}", "{year}"):
            path = path.replace(name.encode(), escaped(in_path) or b"-")
        query = b"&".join(escaped(name) + b"=" + escaped(value) for name, value in pairs)
        response, body = request(server, method, path + b"?" + query, accept)
        assert response.status < 500
        if body and response.headers["Content-Type"].startswith("application/"):
            assert response.status == 200 or json.loads(body)["status"] == response.status

    check()
    assert sent >= RAW


BODIES = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), st.one_of(VALUES, st.lists(VALUES), st.integers(), st.floats(), st.none())),
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
)


@pytest.mark.faults
def test_no_body_breaks_the_server(server: Server) -> None:
    @seed(0)
    @settings(UNSHRUNK, max_examples=RAW)
    @given(st.sampled_from(REPORTS), st.one_of(BODIES.map(lambda body: json.dumps(body).encode()), st.binary()))
    def check(report: ReportDeclaration, body: bytes) -> None:
        target = f"/api/v1/reports/{report.name}/query"
        response, _ = send(server, "POST", target, {"Content-Type": "application/json"}, body)
        assert response.status < 500

    check()
