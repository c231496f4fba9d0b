"""The Streamlit page in Chromium, over a server of one report; its picture is that of the docs."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import expect

from api_server.config import ServerConfig
from api_server.reports.feature import ReportsFeature
from flows_platform.columns.batches import arrow_schema
from flows_platform.local.ports import free_port, listens
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import ReportRunner, Rows
from flows_platform.reports.service import ReportService
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from tests.api_server.conftest import Server, running
from tests.conditions import eventually
from tests.ui.chromium import Pictures, chromium, open_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PAGE = Path(__file__).resolve().parents[2] / "clients" / "streamlit_app.py"
REPORT = ReportDeclaration.model_validate(
    {
        "name": "busiest_computers",
        "description": "Computers with the most bytes in a range of time.",
        "over": ["flow_traffic_hourly"],
        "parameters": [
            {"name": "start", "type": "timestamp", "default": "{{ newest - 1d }}"},
            {"name": "end", "type": "timestamp", "default": "{{ newest }}"},
            {"name": "top", "type": "int64", "minimum": 1, "maximum": 1000, "default": 10},
        ],
        "sql": "SELECT computer, SUM(bytes) AS bytes FROM flow_traffic_hourly WHERE hour >= @start AND hour < @end "
        "GROUP BY computer ORDER BY bytes DESC, computer LIMIT @top",
        "columns": [{"name": "computer", "type": "string"}, {"name": "bytes", "type": "numeric"}],
        "chart": {"kind": "bar", "x": "computer", "y": "bytes"},
    }
)


class Traffic(ReportRunner):
    """Gives computers whose bytes fall by a fifth from one to the next."""

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], _label: str = "", /) -> Rows:
        top = int(str(values["top"]))
        names = [f"C{number * 7919 % 17_000}" for number in range(3, 3 + top)]
        sums = [Decimal(48_000_000_000 * 4**rank // 5**rank) for rank in range(top)]
        return Rows(pa.table([names, sums], schema=arrow_schema(report.schema_of_rows)), 1.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("flow_traffic_hourly", datetime(2014, 1, 3, tzinfo=UTC))
    service = ReportService([REPORT], Traffic(), VersionsFile(versions), AnswerCache(tmp_path / "answers"))
    with running(ServerConfig(), [ReportsFeature(service)]) as server:
        yield server


@pytest.fixture
def page_url(tmp_path: Path, server: Server) -> Iterator[str]:
    port = free_port()
    settings = ["--server.headless=true", f"--server.port={port}", "--browser.gatherUsageStats=false"]
    address = ["--server.address=127.0.0.1", "--server.fileWatcherType=none"]
    argv = [sys.executable, "-m", "streamlit", "run", *settings, *address, str(PAGE)]
    url = f"http://127.0.0.1:{server.port}"
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "HOME": str(tmp_path)}
    with subprocess.Popen([*argv, "--", "--url", url], env=environment) as process:
        try:
            assert eventually(lambda: listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_person_reads_a_report(page_url: str, tmp_path: Path) -> None:
    executable = chromium()
    if executable is None:
        pytest.skip("Debian's chromium is not installed: the browser test did not run")
    pictures = Pictures(Path(os.environ.get("FLOWS_TEST_SCREENSHOTS", tmp_path)))
    with open_page(executable) as page:
        page.goto(page_url)
        expect(page.get_by_text("10 rows, data as of 2014-01-03T00:00:00Z")).to_be_visible()
        page.get_by_role("textbox", name="top").fill("8")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_text("8 rows, data as of 2014-01-03T00:00:00Z")).to_be_visible()
        expect(page.locator("canvas").first).to_be_visible()
        page.set_viewport_size({"width": 1280, "height": 1100})
        pictures.take(page, "reports-streamlit")
