"""NVD by its YAML, end to end: days through Dagster, each CVE once in BigQuery and in the SQL tables."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import zstandard

from api_server.cves import paths as cve_paths
from flows_platform.components.catalog import table_named
from flows_platform.domain.wanted_windows import Cursor
from flows_platform.domain.windows import Window
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.http.refusals import MAY_BE_NOTHING
from flows_platform.orchestration.automation.new_windows_sensor import new_windows
from flows_platform.orchestration.partitions import PARTITION
from flows_platform.orchestration.resources import build_resources
from flows_platform.sources.nvd_cves.assets import TABLES
from flows_platform.sources.nvd_cves.schema import NOTICE
from tests.api_server.conftest import build, configured, flows, running
from tests.components.yaml_platform import failure
from tests.end_to_end.conftest import MakePlatform, Platform, scheduled_keys
from tests.end_to_end.nvd_platform import KEY, NvdPlatform, expected_rows, nvd_on
from tests.fakes.cve_objects import Cve, changed, cves
from tests.fakes.nvd_server import RATE_REFUSED, NvdServer
from tests.fakes.serving import Answer, Fault
from tests.sources.nvd_cves.postgres import Postgres
from tests.sources.nvd_cves.postgres import running as postgres_running

DAY = timedelta(days=1)
START = datetime(2024, 3, 1)  # noqa: DTZ001 - NVD writes its times without a zone
NEXT = START + DAY
AFTER = NEXT + timedelta(hours=1)  # the end itself is asked for too, and would hold a record of that instant
KEYS = ["2024-03-01-00:00", "2024-03-02-00:00", "2024-03-03-00:00"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NvdServer]:
    monkeypatch.setenv("NVD_API_KEY", KEY)
    with NvdServer([], api_key=KEY) as server:
        yield server


@pytest.fixture
def platform(make_platform: MakePlatform, server: NvdServer) -> Platform:
    return make_platform(nvd_url=server.origin, retry_attempts=3)


def some(count: int, days: int = 1, first: datetime = START, seed: int = 1) -> list[Cve]:
    return list(cves(count, seed, start=first, end=first + days * DAY))


def as_shipped(platform: Platform) -> NvdPlatform:
    return NvdPlatform(platform, nvd_on(platform).table)


@pytest.mark.slow
def test_every_cve_of_three_days_arrives_once_field_by_field(
    server: NvdServer, platform: Platform, tmp_path: Path
) -> None:
    server.cves = some(90, days=3)
    nvd = as_shipped(platform)
    run = nvd.run_windows(START, START + 2 * DAY)
    assert run.success
    assert set(platform.checks(run.run_id).values()) == {True}
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)
    days = [len([cve for cve in server.cves if cve["lastModified"].startswith(key[:10])]) for key in KEYS]
    assert [nvd.counts(day=START + n * DAY) for n in range(3)] == [(count, 0, 0) for count in days]
    assert nvd.figures()["notice"] == NOTICE
    assert len(server.requests) == 3
    serve_again(nvd, server.cves[7], tmp_path)


def serve_again(nvd: NvdPlatform, cve: Cve, folder: Path) -> None:
    """The API server gives what arrived."""
    config, features = configured(build(folder / "flows.db", flows(1)), cves_url=lambda: nvd.platform.settings.cves_url)
    with running(config, features) as served:
        response, body = served.get(cve_paths.CVE.format(id=cve["id"]))
        assert (response.status, response.headers["NVD-Notice"]) == (200, NOTICE)
        assert cve["lastModified"][:19].encode() in body
        _, listed = served.get(f"{cve_paths.CVES}?limit=1000&format=csv")
        assert listed.count(b"CVE-") == 90


@pytest.mark.slow
def test_a_day_again_changes_what_is_newer_alone(server: NvdServer, platform: Platform) -> None:
    server.cves = some(20)
    nvd = as_shipped(platform)
    assert nvd.run_windows(START).success
    late = START + timedelta(hours=23, minutes=59)
    server.cves = [changed(cve, late) for cve in server.cves[:3]] + server.cves[3:]
    assert nvd.run_windows(START).success
    assert nvd.counts(day=START) == (0, 3, 17)
    assert nvd.figures(day=START)["rows"] == 3
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_a_cve_that_moved_leaves_its_day_and_stays_in_the_tables(server: NvdServer, platform: Platform) -> None:
    server.cves = some(1)
    nvd = as_shipped(platform)
    assert nvd.run_windows(START).success
    server.cves = [changed(server.cves[0], NEXT)]
    assert nvd.run_windows(START, NEXT).success  # the first day is empty now, which a second pull is to say too
    assert len(nvd.table_rows()) == 2
    assert nvd.run_windows(START, confirm=True).success
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)
    assert (nvd.counts(day=START), nvd.counts(day=NEXT)) == ((0, 0, 0), (0, 1, 0))


@pytest.mark.slow
def test_a_day_that_fails_is_named_and_the_others_are_in_the_tables(server: NvdServer, platform: Platform) -> None:
    server.cves = some(30, days=3)
    server.faults[2] = Fault(Answer(404, {"message": "Invalid startIndex."}))
    nvd = as_shipped(platform)
    assert list(failure(nvd.run_windows(START, START + 2 * DAY))) == KEYS[1:2]
    arrived = [cve for cve in server.cves if not cve["lastModified"].startswith(KEYS[1][:10])]
    nvd.check_stored(arrived)
    assert nvd.table_rows() == expected_rows(arrived)


@pytest.mark.slow
def test_a_database_that_is_away_fails_its_days_without_its_password_and_bigquery_is_filled(
    server: NvdServer, make_platform: MakePlatform
) -> None:
    server.cves = some(5)
    url = "postgresql://reader:canary@127.0.0.1:9/cves"
    nvd = as_shipped(make_platform(nvd_url=server.origin, sql_url=url, retry_attempts=1))
    told = failure(nvd.run_windows(START))[KEYS[0]]
    assert "postgresql at 127.0.0.1:9/cves" in told
    assert "canary" not in told
    assert nvd.table_rows() == expected_rows(server.cves)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_running() as started:
        yield started


@pytest.mark.slow
def test_postgresql_holds_the_same(server: NvdServer, make_platform: MakePlatform, postgres: Postgres) -> None:
    server.cves = some(30, days=2)
    nvd = as_shipped(make_platform(nvd_url=server.origin, sql_url=postgres.emptied()))
    assert nvd.run_windows(START, NEXT).success
    nvd.check_stored(server.cves)
    first, *others = sorted(server.cves, key=lambda cve: str(cve["lastModified"]))
    server.cves = [changed(first, NEXT + timedelta(hours=1)), *others]
    assert nvd.run_windows(START, NEXT).success
    nvd.check_stored(server.cves)
    assert nvd.counts(day=NEXT)[1] == 1


@pytest.mark.slow
def test_an_empty_answer_without_a_list_is_a_day_without_cves(server: NvdServer, platform: Platform) -> None:
    server.omit_empty_list = True
    nvd = as_shipped(platform)
    assert nvd.run_windows(START).success
    assert nvd.table_rows() == []
    nvd.check_stored([])


@pytest.mark.slow
def test_the_tables_are_filled_from_staged_files_without_a_request(server: NvdServer, platform: Platform) -> None:
    server.cves = some(10)
    nvd = as_shipped(platform)
    assert nvd.run_windows(START).success
    platform.settings.files.cves.unlink()
    asked = len(server.requests)
    run = dg.materialize(
        [platform.definitions.get_assets_def(TABLES)],
        selection=[TABLES],
        partition_key=KEYS[0],
        instance=platform.instance,
        resources=build_resources(platform.settings)._asdict(),
    )
    assert run.success
    assert len(server.requests) == asked
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_schedule_and_sensor_ask_for_the_day_that_ended_and_their_job_fills_all(
    server: NvdServer, platform: Platform
) -> None:
    server.cves = some(30, days=3)
    nvd = as_shipped(platform)
    at = datetime(2024, 3, 3, 0, 20, tzinfo=UTC)
    schedule = platform.definitions.resolve_schedule_def("nvd_cves_schedule")
    assert schedule.cron_schedule == "20 0 * * *"
    keys = scheduled_keys(platform.definitions, schedule.name, at, platform.instance, platform.resources)
    assert keys == KEYS[:2]

    fetch = platform.resources.fetch
    look = new_windows(nvd.table, platform.instance, fetch, at + DAY, Cursor(0, KEYS[1]))
    assert isinstance(look, dg.SensorResult)
    assert [request.partition_key for request in look.run_requests or []] == KEYS[2:]
    assert schedule.job_name == "nvd_cves_windows_job"
    for key in KEYS:
        platform.run("nvd_cves_windows_job", {PARTITION: key})
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_a_change_between_pages_makes_the_day_be_read_anew(server: NvdServer, platform: Platform) -> None:
    server.cves = some(25)
    nvd = nvd_on(platform, page_size=10)

    def leave(page: int) -> None:
        if page == 1:
            server.cves = [changed(server.cves[0], AFTER), *server.cves[1:]]

    server.on_page = leave
    assert nvd.run_windows(START).success
    assert [request.parameters["startIndex"] for request in server.requests] == ["0", "10", "0", "10", "20"]
    assert nvd.run_windows(NEXT).success
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_a_shift_that_no_total_shows_is_mended_by_the_look_back(server: NvdServer, platform: Platform) -> None:
    """One leaves in front of the next page and another comes behind it: the total stays, one CVE is passed over."""
    *first, late = some(26)
    server.cves = first
    nvd = nvd_on(platform, page_size=10)

    def shift(page: int) -> None:
        if page == 1:
            server.cves = [changed(first[0], AFTER), *first[1:], late]

    server.on_page = shift
    assert nvd.run_windows(START).success
    assert len(server.requests) == 3
    passed_over = {cve["id"] for cve in first} - {str(row[0]) for row in nvd.table_rows()}
    assert passed_over == {first[10]["id"]}
    assert nvd.run_windows(START, NEXT).success  # as the next day's schedule asks, with its look-back
    assert nvd.table_rows() == expected_rows(server.cves)
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_a_refusal_above_the_rate_is_waited_for(
    server: NvdServer, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    server.cves = some(25)
    server.faults[2] = Fault(RATE_REFUSED)
    nvd = nvd_on(platform, page_size=10, pause=1.5)  # longer than our own first waits
    with caplog.at_level(logging.WARNING, "flows_platform.runtime.retries"):
        assert nvd.run_windows(START).success
    assert [record.message.partition("Trying")[2] for record in caplog.records] == [" again in 1.5 s."]
    asked = [(request.parameters["startIndex"], request.status) for request in server.requests]
    assert asked == [("0", 200), ("10", 403), ("10", 200), ("20", 200)]
    nvd.check_stored(server.cves)


@pytest.mark.slow
def test_the_budget_of_requests_is_kept(make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses the request that is too many; none is.

    It counts by their arrival, which on a busy machine was once .2 s after the beginning: two seconds are left for it.
    """
    monkeypatch.delenv("NVD_API_KEY", raising=False)
    with NvdServer(some(40, days=3), requests_per_window=5, window_seconds=0.5) as server:
        platform = make_platform(nvd_url=server.origin)
        nvd = nvd_on(platform, page_size=3, rate=RateBudget(requests=5, seconds=2.5))
        assert nvd.run_windows(START, START + 2 * DAY).success
        assert len(server.requests) > 10
        assert {request.status for request in server.requests} == {200}
        assert all("apikey" not in request.headers for request in server.requests)
        nvd.check_stored(server.cves)


@pytest.mark.parametrize(("key", "requests"), [(None, 5), (KEY, 50)])
def test_the_declared_budget_is_that_of_the_key(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, key: str | None, requests: int
) -> None:
    monkeypatch.setenv("NVD_API_KEY", key or "")
    rate = table_named("nvd_cves", platform.settings).rate
    assert rate
    assert (rate.requests, rate.seconds) == (requests, 30)


@pytest.mark.slow
def test_a_mistake_is_told_in_nvds_words_and_the_key_is_shown_nowhere(server: NvdServer, platform: Platform) -> None:
    server.cves = some(5, days=2)
    nvd = as_shipped(platform)
    assert nvd.run_windows(START).success
    server.api_key = "another"
    run = nvd.run_windows(NEXT)
    assert failure(run) == {KEYS[1]: f"{server.url} answered 404: Invalid apiKey. {MAY_BE_NOTHING[404].format(404)}"}
    assert {request.headers["apikey"] for request in server.requests} == {KEY}
    assert not any(KEY in str(request.parameters) or KEY in request.path for request in server.requests)
    files = [path for path in platform.settings.home.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_window_longer_than_the_api_takes_is_asked_for_in_pieces(server: NvdServer, platform: Platform) -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    server.cves = some(60, days=300, first=first.replace(tzinfo=None))
    nvd = as_shipped(platform)
    with nvd.table.pipeline(*build_resources(platform.settings)) as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        window = Window(first, first + 300 * DAY)
        assert pipeline.fetch(window).file.rows == 60
        pipeline.publish(window, "test")
    bounds = [
        (request.parameters["lastModStartDate"], request.parameters["lastModEndDate"]) for request in server.requests
    ]
    assert bounds == [
        ("2024-01-01T00:00:00.000Z", "2024-04-30T00:00:00.000Z"),
        ("2024-04-30T00:00:00.000Z", "2024-08-28T00:00:00.000Z"),
        ("2024-08-28T00:00:00.000Z", "2024-10-27T00:00:00.000Z"),
    ]
    assert nvd.table_rows() == expected_rows(server.cves)


@pytest.mark.slow
def test_answers_are_kept_as_they_came_and_swept_after_a_good_fetch(server: NvdServer, platform: Platform) -> None:
    server.cves = some(25)
    nvd = nvd_on(platform, page_size=10)
    old = platform.settings.files.raw_pulls / "nvd_cves" / "2023-01-01-0000"
    old.mkdir(parents=True)
    server.faults[1] = Fault(RATE_REFUSED)
    platform_tries_once = nvd_on(make_impatient(platform))
    assert not platform_tries_once.run_windows(START).success
    assert old.exists()  # where nothing comes any more, what came is kept
    assert nvd.run_windows(START).success
    pages = sorted((platform.settings.files.raw_pulls / "nvd_cves" / "2024-03-01-0000").iterdir())
    assert [page.name for page in pages] == ["page-0001.zst", "page-0002.zst", "page-0003.zst"]
    texts = [zstandard.ZstdDecompressor().stream_reader(page.read_bytes()).read() for page in pages]
    assert [text.count(b'"cve":') for text in texts] == [10, 10, 5]
    assert not old.exists()


def make_impatient(platform: Platform) -> Platform:
    """The same, with one try a call."""
    return replace(platform, settings=platform.settings.model_copy(update={"retry_attempts": 1}))
