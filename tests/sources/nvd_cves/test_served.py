"""The API over each engine: the same answers, byte for byte."""

from pathlib import Path

from api_server.cves import paths as cve_paths
from flows_platform.sources.nvd_cves.store import CveStore
from tests.api_server.conftest import build, configured, flows, running
from tests.sources.nvd_cves.cve_objects import cve, metric

QUERIES = (
    "",
    "?limit=3&cursor=CVE-2024-0004",
    "?severity=HIGH&keyword=FLAW&min_score=7&attack_vector=NETWORK",
    "?modified_since=2024-01-05T00:00:00Z&format=csv",
)
TARGETS = [f"{cve_paths.CVES}{query}" for query in QUERIES] + [
    cve_paths.CVE.format(id="CVE-2024-0002"),
    *(f"{path}?min_date=2024-01-03" for path in cve_paths.TOTALS),
]
SEEN: dict[str, bytes] = {}


def test_the_answers_do_not_depend_on_the_engine(url: str, store: CveStore, tmp_path: Path) -> None:
    store.upsert(
        [
            cve(number, metrics={"cvssMetricV31": [metric(score=number)]} if number % 3 else {})
            for number in range(1, 10)
        ]
    )
    with running(*configured(build(tmp_path / "flows.db", flows(1)), cves_url=lambda: url)) as server:
        for target in TARGETS:
            response, body = server.get(target)
            assert response.status == 200
            assert SEEN.setdefault(target, body) == body
