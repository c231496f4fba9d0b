"""The SQL tables from all of NVD: the first load, what a reconcile finds and repairs, and NVD's own answers."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.columns.raw_records import json_text
from flows_platform.domain.windows import Window
from flows_platform.orchestration.resources import build_resources
from flows_platform.sources.nvd_cves import full_load
from flows_platform.sources.nvd_cves.assets import FULL_LOAD, TOTALS_AGREE
from tests.end_to_end.conftest import MakePlatform, Platform
from tests.end_to_end.nvd_platform import NvdPlatform, expected_rows, nvd_on
from tests.fakes.cve_objects import Cve, changed, cves
from tests.fakes.nvd_server import NvdServer
from tests.fakes.serving import Fault
from tests.sources.nvd_cves.documents import NEW, OLD, answer, answers, newest_of

pytestmark = pytest.mark.slow

FIRST = datetime(2002, 1, 1)  # noqa: DTZ001 - NVD writes its times without a zone
NOW = datetime(2026, 2, 2, 12, 30, 15, 123456, tzinfo=UTC)
RANGES = 30 + 1 + 74  # days, today's hours, and what is before in pieces of 120 days


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NvdServer]:
    monkeypatch.delenv("NVD_API_KEY", raising=False)
    with NvdServer([], requests_per_window=10_000) as server:
        yield server


@pytest.fixture
def platform(make_platform: MakePlatform, server: NvdServer) -> Platform:
    return make_platform(nvd_url=server.origin, retry_attempts=2)


@pytest.fixture
def nvd(platform: Platform) -> NvdPlatform:
    return nvd_on(platform, page_size=50, now=lambda: NOW)


def of_years(number: int) -> list[Cve]:
    """Changed last since 2020, as most are: so few ranges hold some that the tests are short."""
    return list(cves(number, seed=3, start=datetime(2020, 1, 1), end=NOW.replace(tzinfo=None)))  # noqa: DTZ001 - as above


def floats(cves: Iterable[Cve]) -> list[Cve]:
    """As the server takes them."""
    return [json.loads(json_text(cve)) for cve in cves]


def agreed(nvd: NvdPlatform, run: dg.ExecuteInProcessResult) -> bool:
    assert run.success
    return nvd.platform.checks(run.run_id)[None, TOTALS_AGREE]


def loaded(nvd: NvdPlatform) -> object:
    return nvd.figures(FULL_LOAD)["ranges_loaded"]


def test_the_first_load_brings_everything_and_the_next_finds_nothing_to_do(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = of_years(300)
    assert agreed(nvd, nvd.run_full_load())
    nvd.check_stored(server.cves)
    assert nvd.counts(FULL_LOAD) == (300, 0, 0)
    assert nvd.figures(FULL_LOAD)["ranges_compared"] == RANGES
    asked = len(server.requests)
    assert agreed(nvd, nvd.run_full_load())
    assert (nvd.counts(FULL_LOAD), loaded(nvd)) == ((0, 0, 0), 0)
    assert len(server.requests) - asked == RANGES + 1
    assert all(request.parameters["resultsPerPage"] == "1" for request in server.requests[asked:])
    assert agreed(nvd, nvd.run_full_load(everything=True))
    assert nvd.counts(FULL_LOAD) == (0, 0, 300)


def test_changes_that_no_window_saw_are_found_by_their_ranges(server: NvdServer, nvd: NvdPlatform) -> None:
    """A chain of moves leaves the counts of a range as they were: the newer range is repaired first, and shows it."""
    server.cves = of_years(300)
    assert agreed(nvd, nvd.run_full_load())
    old, middle, newer, *others = sorted(server.cves, key=lambda cve: str(cve["lastModified"]))[::75]
    assert others
    moved = [changed(old, instant_of(middle)), changed(middle, instant_of(newer)), changed(newer, recent(nvd, 2))]
    fresh = changed(old, recent(nvd, 1)) | {"id": "CVE-2026-99999"}
    server.cves = [*newest_of([*server.cves, *moved]).values(), fresh]
    assert agreed(nvd, nvd.run_full_load())
    inserted, updated, _ = nvd.counts(FULL_LOAD)
    assert (inserted, updated) == (1, 3)
    assert loaded(nvd) == 4
    nvd.check_stored(server.cves)


def instant_of(cve: Cve) -> datetime:
    return datetime.fromisoformat(cve["lastModified"]) + timedelta(milliseconds=1)


def recent(nvd: NvdPlatform, days: int) -> datetime:
    return NOW.replace(tzinfo=None, microsecond=0) - timedelta(days=days)


def test_what_changes_and_comes_during_the_load_is_caught_up_with(server: NvdServer, platform: Platform) -> None:
    ticks = count()
    nvd = nvd_on(platform, page_size=50, now=lambda: NOW + next(ticks) * timedelta(hours=1))
    server.cves = of_years(200)
    during = NOW.replace(tzinfo=None) + timedelta(minutes=30)

    def change(page: int) -> None:
        if page == 60:  # in the middle of the ranges
            fresh = changed(server.cves[5], during) | {"id": "CVE-2026-99999"}
            server.cves = [changed(server.cves[0], during), changed(server.cves[-1], during), *server.cves[1:-1], fresh]

    server.on_page = change
    assert agreed(nvd, nvd.run_full_load())
    nvd.check_stored(server.cves)


def test_a_range_of_many_is_halved_and_a_change_redoes_that_half_alone(
    server: NvdServer, nvd: NvdPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_load, "RANGE_RECORDS", 100)
    server.cves = list(cves(450, seed=5, start=datetime(2025, 6, 1), end=datetime(2025, 6, 2)))  # noqa: DTZ001 - as above
    assert agreed(nvd, nvd.run_full_load())
    nvd.check_stored(server.cves)
    assert nvd.counts(FULL_LOAD) == (450, 0, 0)
    pages = [request for request in server.requests if request.parameters["resultsPerPage"] == "50"]
    assert {request.parameters["startIndex"] for request in pages} == {"0", "50"}


def test_a_load_that_broke_off_goes_on_where_it_was(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = of_years(300)
    server.faults = {number: Fault(cut_after=100) for number in (60, 61)}
    assert not nvd.run_full_load().success
    before = len(nvd.stored())
    assert 0 < before < 300
    assert agreed(nvd, nvd.run_full_load())
    assert nvd.counts(FULL_LOAD) == (300 - before, 0, 0)
    nvd.check_stored(server.cves)


def test_a_total_that_differs_fails_the_check_with_both_figures(server: NvdServer, nvd: NvdPlatform) -> None:
    server.cves = [*of_years(20), *cves(21, start=datetime(2001, 1, 1), end=FIRST)][:21]  # noqa: DTZ001 - as above
    server.cves[-1] |= {"id": "CVE-2001-9999"}  # changed last before the first range
    assert not agreed(nvd, nvd.run_full_load())
    told = nvd.figures(FULL_LOAD)
    assert (told["total_at_source"], told["total_in_database"]) == (21, 20)


def test_the_windows_and_the_full_load_fill_the_same_tables(server: NvdServer, nvd: NvdPlatform) -> None:
    day = datetime(2026, 1, 20)  # noqa: DTZ001 - as above
    server.cves = list(cves(40, start=day, end=day + timedelta(days=2)))
    assert nvd.run_windows(day).success
    assert agreed(nvd, nvd.run_full_load())
    assert loaded(nvd) == 1
    nvd.check_stored(server.cves)


def test_it_runs_every_week(nvd: NvdPlatform) -> None:
    schedule = nvd.platform.definitions.resolve_schedule_def("nvd_weekly_reconcile")
    assert (schedule.job_name, schedule.cron_schedule) == (f"{FULL_LOAD}_job", "0 4 * * 0")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_every_real_cve_arrives_field_by_field_in_both_places(
    shared_data: Path, server: NvdServer, platform: Platform
) -> None:
    nvd = nvd_on(platform, now=lambda: NOW)
    server.cves = floats(newest_of(cve for page in answers(shared_data) for cve in page).values())
    assert len(server.cves) > 2_200
    assert agreed(nvd, nvd.run_full_load())
    nvd.check_stored(server.cves)
    assert nvd.counts(FULL_LOAD) == (len(server.cves), 0, 0)
    with nvd.table.pipeline(*build_resources(platform.settings)) as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        window = Window(FIRST.replace(tzinfo=UTC), NOW.replace(microsecond=0))
        assert pipeline.fetch(window).file.rejected == 0
        pipeline.publish(window, "test")
    assert nvd.table_rows() == expected_rows(server.cves)


@pytest.mark.parametrize("kept", [0, 120, 200])
def test_two_snapshots_give_exactly_the_changed_rows(
    shared_data: Path, server: NvdServer, platform: Platform, kept: int
) -> None:
    """All 200 of the later snapshot are newer; where it shows `kept` of them as they were, the others alone."""
    nvd = nvd_on(platform, now=lambda: NOW)
    old, new = answer(shared_data / "nvd" / OLD), answer(shared_data / "nvd" / NEW)[:200]
    server.cves = floats(old)
    assert agreed(nvd, nvd.run_full_load())
    assert nvd.counts(FULL_LOAD) == (200, 0, 0)
    server.cves = floats(old[:kept] + new[kept:])
    assert agreed(nvd, nvd.run_full_load(everything=True))
    assert nvd.counts(FULL_LOAD) == (0, 200 - kept, kept)
    nvd.check_stored(server.cves)
