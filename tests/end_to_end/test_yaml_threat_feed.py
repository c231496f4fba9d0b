"""An API that nobody wrote code for, by the YAML of docs/sources.md alone: windows, schedule, sensor, backfill."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.components.loader import load_declaration
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table_definitions import windowed_definitions
from tests.components.feed_yaml import other_form, whole_form
from tests.components.yaml_platform import YamlSource, failure
from tests.end_to_end.conftest import MakePlatform, scheduled_keys
from tests.fakes.serving import Answer, Fault
from tests.fakes.threat_feed_server import Links, Sighting, ThreatFeedServer, sightings

START = datetime(2024, 3, 1, tzinfo=UTC)
HOURS = timedelta(hours=3)
KEYS = [f"2024-03-01-{hour:02}:00" for hour in range(0, 24, 3)]
FORMS: dict[Links, Callable[[str], str]] = {"header": other_form, "body": whole_form}
PROJECT = """
[project]
name = "feeds"
version = "0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "{module}"
"""


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreatFeedServer]:
    monkeypatch.setenv("SIGHTINGS_TOKEN", "feed-token")
    with ThreatFeedServer(
        sightings(240, seed=3, days=1), links=getattr(request, "param", "body"), page_size=20
    ) as server:
        yield server


@pytest.fixture
def feed(
    server: ThreatFeedServer, make_platform: MakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> YamlSource:
    """The source in a project of its own, loaded by Dagster's components."""
    made = make_platform(retry_attempts=3)
    for name in ("home", "bigquery_dataset", "emulator_port", "emulator_key_file", "retry_attempts"):
        monkeypatch.setenv(f"FLOWS_{name.upper()}", str(getattr(made.settings, name)))
    path = project(tmp_path, FORMS[server.links](server.url).replace("cron: 0 0 * * *", "cron: 0 */3 * * *"))
    monkeypatch.syspath_prepend(tmp_path)
    loaded = dg.load_from_defs_folder(path_within_project=tmp_path)
    definitions = dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))
    return YamlSource(load_declaration(path, made.settings), made.settings, definitions, made.instance)


def project(folder: Path, text: str) -> Path:
    """A project with one YAML file and no code; gives the file's path. Its module has a name of its own."""
    module = f"feeds_{abs(hash(folder))}"
    path = folder / module / "defs" / "sightings" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for package in (folder / module, folder / module / "defs"):
        (package / "__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(PROJECT.format(module=module))
    return path


def expected(sighting: Sighting) -> dict[str, object]:
    indicator = sighting["indicator"]
    return {
        "id": sighting["id"],
        "seen_at": datetime.fromisoformat(sighting["seen_at"]),
        "indicator_type": indicator["type"],
        "indicator_value": indicator["value"],
        "indicator_confidence": indicator["confidence"],
        "indicator_source_name": indicator["source"]["name"],
        "indicator_source_country": indicator["source"]["country"],
        "indicator_source_asn": indicator["source"].get("asn"),
        "tags": sighting["tags"],
        "extra_fields": None,
    }


def arrived(feed: YamlSource) -> list[dict[str, object]]:
    return [row | {"tags": json.loads(str(row["tags"]))} for row in feed.rows("seen_at, id")]


def in_windows(server: ThreatFeedServer, first: int, last: int) -> list[dict[str, object]]:
    rows = [expected(sighting) for sighting in server.sightings]
    start, end = START + first * HOURS, START + (last + 1) * HOURS
    inside = [row for row in rows if start <= datetime.fromisoformat(str(row["seen_at"])) < end]
    return sorted(inside, key=lambda row: (str(row["seen_at"]), str(row["id"])))


@pytest.mark.parametrize("server", ["header", pytest.param("body", marks=pytest.mark.slow)], indirect=True)
def test_the_file_alone_gives_windows_schedule_and_table(server: ThreatFeedServer, feed: YamlSource) -> None:
    at = START + 3 * HOURS + timedelta(minutes=20)
    resources = build_resources(feed.settings)
    assert scheduled_keys(feed.definitions, "sightings_schedule", at, feed.instance, resources) == KEYS[:3]

    job = feed.definitions.resolve_job_def("sightings_windows_job")
    assert job.execute_in_process(instance=feed.instance, partition_key=KEYS[0]).success
    assert arrived(feed) == in_windows(server, 0, 0) != []

    backfill = feed.run(START + HOURS, START + 2 * HOURS)  # as a backfill of windows launches it
    assert backfill.success
    assert feed.failed_checks(backfill) == []
    assert arrived(feed) == in_windows(server, 0, 2)
    assert len({asked.parameters["cursor"] for asked in server.requests if "cursor" in asked.parameters}) >= 3

    level = "L0 unverified" if server.links == "header" else "L1 framing"
    assert str(feed.figures(KEYS[0])["verification"]).startswith(level)


@pytest.mark.slow
def test_a_window_is_replaced_and_new_fields_are_kept(server: ThreatFeedServer, feed: YamlSource) -> None:
    assert feed.run(START, START).success
    first = min(server.sightings, key=lambda sighting: str(sighting["seen_at"]))
    server.sightings.remove(first)
    server.sightings.append(first | {"id": "s-late", "campaign": {"name": "ü"}})
    assert feed.run(START, START).success
    rows = {row["id"]: row["extra_fields"] for row in arrived(feed)}
    assert json.loads(str(rows.pop("s-late"))) == {"$.campaign": {"name": "ü"}}
    assert set(rows.values()) == {None}
    assert first["id"] not in rows


@pytest.mark.slow
def test_the_sensor_asks_for_what_closed(server: ThreatFeedServer, feed: YamlSource) -> None:
    now = [START + 4 * HOURS]
    definitions = windowed_definitions(feed.table, now=lambda: now[0])
    sensor = dg.Definitions.merge(
        definitions, dg.Definitions(resources=build_resources(feed.settings)._asdict())
    ).resolve_sensor_def("sightings_new_windows")

    def tick(cursor: str | None) -> tuple[list[str | None], str | None]:
        resources = build_resources(feed.settings)._asdict()
        data = sensor.evaluate_tick(
            dg.build_sensor_context(
                instance=feed.instance, cursor=cursor, resources=resources, definitions=feed.definitions
            )
        )
        return [request.partition_key for request in data.run_requests or []], data.cursor

    keys, cursor = tick(None)
    assert keys == KEYS[:3]  # the fourth has its grace still
    assert tick(cursor)[0] == []
    now[0] += 2 * HOURS + timedelta(minutes=20)
    assert tick(cursor)[0] == KEYS[3:6]
    assert server.requests == []


@pytest.mark.slow
def test_waits_and_refusals(server: ThreatFeedServer, feed: YamlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Answer(429, {"Content-Type": "application/json", "Retry-After": "1"}, b'{"error": {"message": "slow"}}')
    server.faults[1] = Fault(refusal)
    assert feed.run(START, START).success
    assert [asked.status for asked in server.requests][:2] == [429, 200]
    server.next_origin = "http://elsewhere.example"
    assert "the next page is on another origin" in failure(feed.run(START, START))[KEYS[0]]
    monkeypatch.setenv("SIGHTINGS_TOKEN", "another-canary")
    told = failure(feed.run(START, START))[KEYS[0]]
    assert "answered 401: the API answers with an error unauthorized: a valid bearer token is required" in told
    assert "canary" not in told
    monkeypatch.delenv("SIGHTINGS_TOKEN")
    run = feed.run(START, START)
    assert "the environment variable SIGHTINGS_TOKEN is not set" in str(
        run.get_step_failure_events()[0].event_specific_data
    )
    assert arrived(feed) == in_windows(server, 0, 0)
