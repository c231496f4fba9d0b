"""A CVE as rows: the metric that counts, texts that no column can hold, and refusals by id and path."""

from typing import Any

import pytest
from hypothesis import given

from flows_platform.domain.errors import InputError
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.rows import rows_of
from tests.sources.nvd_cves.cve_objects import Cve, cve, cves, metric


def test_a_cve_with_nothing_but_what_it_must_have() -> None:
    rows = rows_of({"id": "CVE-2024-0001", "published": "2024-01-01T00:00:00", "lastModified": "2024-01-01T00:00:00"})
    assert not any(rows.children.values())
    assert rows.cve["description"] is None


@given(cves())
def test_every_row_has_the_columns_of_its_table(made: Cve) -> None:
    rows = rows_of(made)
    assert set(rows.children) == {table.name for table in schema.CHILDREN}
    assert set(rows.cve) == {column.name for column in schema.CVES.columns}
    for table in schema.CHILDREN:
        for position, row in enumerate(rows.children[table.name]):
            assert set(row) == {column.name for column in table.columns}
            assert (row["cve_key"], row["position"]) == (rows.version.key, position)
            assert all(row[column.name] is not None for column in table.columns if not column.nullable)


def test_the_newest_version_counts_then_primary_then_the_first() -> None:
    metrics = {
        "cvssMetricV2": [metric("2.0", 1.0)],
        "cvssMetricV31": [metric(score=2.0, kind="Secondary"), metric(score=3.0), metric(score=4.0)],
        "cvssMetricV30": [metric("3.0", 5.0)],
        "cvssMetricV40": [metric("4.0", 6.0, kind="Secondary")],
    }
    scores = rows_of(cve(1, metrics=metrics)).children["cve_scores"]
    assert [row["base_score"] for row in scores] == [6.0, 3.0, 4.0, 2.0, 5.0, 1.0]


def test_versions_speak_one_language_in_the_columns() -> None:
    four = metric("4.0", attackVector="ADJACENT", vulnConfidentialityImpact="LOW", confidentialityImpact=None)
    two = {
        "source": "s",
        "type": "Primary",
        "baseSeverity": "LOW",
        "userInteractionRequired": True,
        "cvssData": {"version": "2.0", "accessVector": "LOCAL", "accessComplexity": "LOW", "authentication": "SINGLE"},
    }
    rows = rows_of(cve(1, metrics={"cvssMetricV40": [four], "cvssMetricV2": [two]})).children
    new, old = rows["cve_attack_vectors"]
    assert (new["attack_vector"], new["confidentiality_impact"]) == ("ADJACENT_NETWORK", "LOW")
    assert (old["attack_vector"], old["attack_complexity"], old["authentication"]) == ("LOCAL", "LOW", "SINGLE")
    assert (old["user_interaction"], rows["cve_severities"][1]["base_severity"]) == ("REQUIRED", "LOW")


def test_what_no_text_column_can_hold_is_marked_and_kept_in_the_document() -> None:
    row = rows_of(cve(1, vulnStatus="a\0b\ud800")).cve
    assert row["status"] == "a\ufffdb\ufffd"
    assert r"a\u0000b\ud800" in str(row["document"])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": "CVE-24-1"}, "id"),
        ({"id": None}, "id"),
        ({"published": None}, "published"),
        ({"lastModified": "yesterday"}, "lastModified"),
        ({"lastModified": "2024-02-30T00:00:00"}, "lastModified"),
        ({"lastModified": "2024-01-01T00:00:00.1234567"}, "lastModified"),
        ({"lastModified": "0001-01-01T00:00:00+23:00"}, "lastModified"),
        ({"vulnStatus": 7}, "vulnStatus"),
        ({"descriptions": {}}, "descriptions"),
        ({"descriptions": ["text"]}, r"descriptions\[0\]"),
        ({"descriptions": [{"lang": "en"}]}, r"descriptions\[0\]\.value"),
        ({"metrics": []}, "metrics"),
        (
            {"metrics": {"cvssMetricV31": [metric(baseScore="9.8")]}},
            r"metrics\.cvssMetricV31\[0\]\.cvssData\.baseScore",
        ),
        ({"metrics": {"cvssMetricV31": [metric(baseScore=True)]}}, r"baseScore"),
        ({"metrics": {"cvssMetricV31": [metric(baseScore=float("nan"))]}}, r"baseScore"),
        ({"metrics": {"cvssMetricV31": [metric(baseScore=10**400)]}}, r"baseScore"),
        ({"metrics": {"cvssMetricV31": [metric(version="three")]}}, r"cvssData\.version"),
        ({"metrics": {"cvssMetricV31": [{"type": "Primary"}]}}, r"cvssData\.version"),
        ({"weaknesses": [{"description": [{}]}]}, r"weaknesses\[0\]\.description\[0\]\.lang"),
        ({"references": [{}]}, r"references\[0\]\.url"),
        ({"references": [{"url": "x", "tags": [1]}]}, r"references\[0\]\.tags\[0\]"),
        ({"configurations": [{"nodes": [{"cpeMatch": [{}]}]}]}, r"nodes\[0\]\.cpeMatch\[0\]\.vulnerable"),
        ({"configurations": [{"negate": "no"}]}, r"configurations\[0\]\.negate"),
    ],
)
def test_a_malformed_cve_is_named_with_the_path(changes: Cve, path: str) -> None:
    with pytest.raises(InputError, match=rf"^(CVE-2024-0001|CVE-24-1|a CVE without id): .*{path}[ :]"):
        rows_of(cve(1, **changes))


@pytest.mark.parametrize("value", [{}, {"id": 7}, {"id": "CVE-2024-0001"}])
def test_a_version_needs_id_and_time(value: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        rows_of(value)
