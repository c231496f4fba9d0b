"""The CVE routes: pages, one, totals, as JSON and CSV, NVD's notice with every answer; refusals, and no database."""

import csv
import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api_server.cves import paths as cve_paths
from api_server.flows import paths as flow_paths
from flows_platform.columns.raw_records import json_text
from flows_platform.sources.nvd_cves.schema import NOTICE, SUMMARY_NAMES
from tests.sources.nvd_cves.cve_objects import cve, metric

from .conftest import Serve, Server, build, build_cves, flows, openapi_document

COUNT = 25
ONE = cve_paths.CVE.format(id="CVE-2024-0003")
EVERY_PATH = (cve_paths.CVES, ONE, *cve_paths.TOTALS)
ODD = cve(
    3,
    descriptions=[{"lang": "en", "value": 'One "quoted", two\r\nlines, é'}, {"lang": "es", "value": "ñ"}],
    metrics={"cvssMetricV31": [metric(score=7.5), metric(score=1.0, kind="Secondary")]},
    aFieldOfTomorrow={"deep": [1, 2.50, None]},
)


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    made = [cve(number) if number != 3 else ODD for number in range(1, COUNT + 1)]
    bare = cve(COUNT, metrics={})
    url = build_cves(tmp_path / "cves.db", [*made[:-1], bare])
    return serve(build(tmp_path / "flows.db", flows(10)), cves_url=url)


def ask(server: Server, path: str, **headers: str) -> Any:
    response, body = server.get(path, **headers)
    assert response.status == 200, body
    return json.loads(body)


def rows_of(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text.decode(), newline="")))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_notice_is_with_every_answer(server: Server, path: str, form: str, method: str) -> None:
    response, body = server.get(f"{path}?format={form}", method)
    assert response.status == 200
    assert response.headers["NVD-Notice"] == NOTICE
    assert response.headers["Content-Type"].startswith({"json": "application/json", "csv": "text/csv"}[form])
    assert response.headers["Cache-Control"] == "no-store"
    if method == "HEAD":
        assert body == b""
        assert int(response.headers["Content-Length"]) > 0
    elif form == "json":
        assert json.loads(body)["notice"] == NOTICE


def test_answers_fit_their_schemas(server: Server) -> None:
    described = openapi_document()
    for path in (cve_paths.CVES, cve_paths.CVE, *cve_paths.TOTALS):
        content = described["paths"][path]["get"]["responses"]["200"]["content"]
        schema = content["application/json"]["schema"] | {"components": described["components"]}
        jsonschema_rs.validate(schema, ask(server, path.format(id="CVE-2024-0003")))


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 1000])
def test_pages_add_up(server: Server, limit: int) -> None:
    path, seen = f"{cve_paths.CVES}?limit={limit}&keyword=%20", []
    while path:
        response, body = server.get(path)
        page = json.loads(body)
        seen += [row["id"] for row in page["cves"]]
        link = response.headers["Link"]
        assert (link is None) == (page["next"] is None)
        path = "" if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
        assert path == "" or path.endswith(f"cursor={page['next']}")
    assert seen == [f"CVE-2024-{number:04}" for number in range(1, COUNT + 1)]


def test_csv_says_what_json_says(server: Server) -> None:
    rows = ask(server, cve_paths.CVES)["cves"]
    assert tuple(rows[0]) == SUMMARY_NAMES
    lines = rows_of(server.get(f"{cve_paths.CVES}?format=csv")[1])
    assert lines == [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert rows[-1]["base_score"] is None
    one = server.get(f"{ONE}?format=csv")[1]
    assert rows_of(one) == [lines[2]]
    assert one.endswith(b"\r\n")


def test_one_cve_has_all_its_parts_and_the_document_to_the_letter(server: Server) -> None:
    _, body = server.get(ONE)
    assert body.decode().endswith(f'"document": {json_text(ODD)}}}}}')
    found = json.loads(body)["cve"]
    assert found["base_score"] == 7.5
    assert [row["base_score"] for row in found["scores"]] == [7.5, 1.0]
    assert found["references"] == [{"position": 0, "url": "https://example.org/v0", "source": "v0", "tags": ["Patch"]}]
    assert [row["version_end_excluding"] for row in found["cpe_matches"]] == ["1.2", "1.2"]
    assert {len(found[name]) for name in ("severities", "attack_vectors")} == {2}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("severity=HIGH", [3]),
        ("id=CVE-2024-0007", [7]),
        ("keyword=QUOTED%22", [3]),
        ("keyword=%C3%A9", [3]),
        ("min_score=7.5&max_score=7.5", [3]),
        ("modified_since=2024-01-25T00:00:00Z", [24, 25]),
        ("modified_since=2024-01-25T02:00:00.0000009%2B02:00", [24, 25]),
        ("modified_since=9999-12-31T23:59:60-01:00", []),
        ("modified_since=0001-01-01T00:00:00%2B01:00&attack_vector=NETWORK&limit=2", [1, 2]),
        ("cursor=CVE-2024-0023", [24, 25]),
        ("attack_vector=LOCAL", []),
    ],
)
def test_filters(server: Server, query: str, expected: list[int]) -> None:
    found = [int(row["id"].removeprefix("CVE-2024-")) for row in ask(server, f"{cve_paths.CVES}?{query}")["cves"]]
    assert found == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [("severity", "CRITICAL"), ("impact", 5.9), ("exploitability", 3.9), ("attack-vectors", "NETWORK")],
)
def test_totals(server: Server, path: str, value: object) -> None:
    column = cve_paths.TOTALS[f"{cve_paths.CVES}/{path}"].value
    totals = ask(server, f"{cve_paths.CVES}/{path}")["totals"]
    assert sum(row["cves"] for row in totals) == COUNT
    assert totals[0][column] == value
    assert totals[-1] == {column: None, "cves": 1, "mean_base_score": None}
    late = ask(server, f"{cve_paths.CVES}/{path}?min_date=2024-01-25")["totals"]
    assert late == [{column: value, "cves": 1, "mean_base_score": 9.8}, totals[-1]]
    assert ask(server, f"{cve_paths.CVES}/{path}?min_date=2030-01-01")["totals"] == []


def test_compression(server: Server) -> None:
    response, body = server.get(cve_paths.CVES, Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == server.get(cve_paths.CVES)[1]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        (f"{cve_paths.CVES}?{query}", query.partition("=")[0])
        for query in (
            *("cursor=x", "cursor=CVE-2024-1", "cursor=", "id=CVE-2024-00001", "limit=0", "limit=1001", "limit=1.0"),
            *("severity=high", "severity=", "min_score=11", "min_score=7.55", "min_score=-1", "max_score=NaN"),
            *("min_score=9&max_score=8", "keyword=", "keyword=a%00", "keyword=a%0A", f"keyword={'x' * 201}"),
            *("modified_since=2024-01-01", "modified_since=2024-02-30T00:00:00Z", "modified_since=2024-01-01T00:00:00"),
            *("attack_vector=ADJACENT", "min_date=2024-01-01", "format=xml", "x=1"),
        )
    ]
    + [
        (f"{cve_paths.CVES}/severity?min_date=2024-02-30", "min_date"),
        (f"{cve_paths.CVES}/severity?limit=1", "limit"),
        (f"{ONE}?id=CVE-2024-0003", "id"),
        (f"{cve_paths.CVES}/nonsense", "id"),
        (f"{cve_paths.CVES}/cve-2024-0003", "id"),
        (f"{cve_paths.CVES}?limit=1&limit=1", "limit"),
    ],
)
def test_refusals_name_the_parameter(server: Server, path: str, parameter: str) -> None:
    response, body = server.get(path)
    problem = json.loads(body)
    assert (response.status, problem["type"], problem["parameter"]) == (400, "/#invalid-parameter", parameter)
    assert problem["allowed"]


def test_what_is_not_there_and_not_offered(server: Server) -> None:
    for path, status, headers in (
        (cve_paths.CVE.format(id="CVE-1999-0001"), 404, {}),
        (f"{cve_paths.CVES}/", 404, {}),
        (cve_paths.CVES, 406, {"Accept": "application/xml"}),
    ):
        response, body = server.get(path, **headers)
        assert (response.status, json.loads(body)["status"]) == (status, status)


def test_without_a_database_the_answer_says_how_to_fill_it(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = build(tmp_path / "flows.db", flows(10))
    absent = tmp_path / "absent" / "cves.db"
    (tmp_path / "empty.db").touch()
    urls = (
        None,
        f"sqlite:///{absent}",
        f"sqlite:///{tmp_path}/empty.db",
        "postgresql://u:canary@127.0.0.1:9/d",
        "canary",
    )
    for url in urls:
        server = serve(database, cves_url=None if url is None else lambda url=url: url)
        for path in EVERY_PATH:
            response, body = server.get(path)
            problem = json.loads(body)
            assert (response.status, problem["type"]) == (503, "/#cves-unavailable")
            assert response.headers["Retry-After"] == "30"
            assert "nvd_cves" in problem["detail"]
            assert b"canary" not in body
            assert str(tmp_path).encode() not in body
        assert server.get(f"{flow_paths.STREAM}?limit=1")[0].status == 200
    assert "Connection refused" in caplog.text
    assert "canary" not in caplog.text
    assert not absent.parent.exists()


def test_a_database_that_comes_or_changes_is_seen_without_a_restart(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "cves.db"
    server = serve(build(tmp_path / "flows.db", flows(10)), cves_url=lambda: f"sqlite:///{file}")
    assert server.get(cve_paths.CVES)[0].status == 503
    build_cves(file, [cve(1)])
    assert len(ask(server, cve_paths.CVES)["cves"]) == 1
    build_cves(file, [cve(1), cve(2)])
    assert len(ask(server, cve_paths.CVES)["cves"]) == 2
    for file in tmp_path.glob("cves.db*"):
        file.unlink()
    build_cves(file, [cve(3)])
    assert [row["id"] for row in ask(server, cve_paths.CVES)["cves"]] == ["CVE-2024-0003"]
