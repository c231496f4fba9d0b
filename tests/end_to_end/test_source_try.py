"""`flows source try` on the shipped sources: our own server, and stand-ins for NVD and Qualys."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.cli.commands.source_try import run_try
from tests.end_to_end.conftest import Platform
from tests.fakes.cve_objects import cves
from tests.fakes.nvd_server import NvdServer
from tests.fakes.qualys_objects import hosts, vulns
from tests.fakes.qualys_server import QualysServer

DAY = datetime(2024, 3, 1, tzinfo=UTC)


def rows_of(table: str, key: str, capsys: pytest.CaptureFixture[str]) -> int:
    code = run_try(table, key, limit=None, out=None, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert code == 0, told
    assert told["rejected"] == 0
    assert told["requests"]
    assert told["ended"]
    assert told["columns_not_taken"] == []
    return int(told["rows"])


@pytest.fixture
def nvd(monkeypatch: pytest.MonkeyPatch) -> Iterator[NvdServer]:
    with NvdServer(list(cves(5, 1, start=DAY.replace(tzinfo=None), end=datetime(2024, 3, 2)))) as server:  # noqa: DTZ001 - NVD's times have no zone
        monkeypatch.setenv("FLOWS_NVD_URL", server.origin)
        yield server


@pytest.fixture
def qualys(monkeypatch: pytest.MonkeyPatch) -> Iterator[QualysServer]:
    monkeypatch.setenv("QUALYS_USERNAME", "acme_ab12")
    monkeypatch.setenv("QUALYS_PASSWORD", "passwd")
    with QualysServer() as server:
        monkeypatch.setenv("FLOWS_QUALYS_URL", server.origin)
        yield server


@pytest.mark.slow
def test_flows(platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLOWS_API_PORT", str(platform.settings.api_port))
    key = platform.keys[1]
    expected = platform.database_digest(first=10_800, last=21_599).count
    assert rows_of("flows", key, capsys) == expected > 100


@pytest.mark.usefixtures("nvd")
def test_nvd(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows_of("nvd_cves", f"{DAY:%Y-%m-%d}-00:00", capsys) == 5


def test_qualys(qualys: QualysServer, capsys: pytest.CaptureFixture[str]) -> None:
    qualys.hosts = hosts(20, seed=7, start=DAY, days=1)
    qualys.vulns = vulns(20, seed=7, start=DAY, days=1)
    first, later = DAY.strftime("%Y-%m-%dT%H:%M:%SZ"), (DAY + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    expected = sum(first <= detection.updated < later for host in qualys.hosts for detection in host.detections)
    assert rows_of("qualys_detections", f"{DAY:%Y-%m-%d}-00:00", capsys) == expected > 0
    assert rows_of("qualys_knowledge_base", f"{DAY:%Y-%m-%d}-00:00", capsys) > 0
