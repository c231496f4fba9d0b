"""Schedule and sensors: what they ask for, and when."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from flows_platform.cli.commands.instance import open_instance
from flows_platform.definitions import build_definitions
from flows_platform.domain.wanted_windows import Cursor
from flows_platform.orchestration.automation.new_windows_sensor import new_windows
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.automation import files_job, raw_file_sensor
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.end_to_end.conftest import MakePlatform, Platform, scheduled_keys

pytestmark = pytest.mark.slow

KEYS = [f"2014-01-01-{hour:02}:00" for hour in range(0, 24, 3)]
DAY = Settings(days=1)


def requested(result: object) -> list[str | None]:
    assert isinstance(result, dg.SensorResult)
    return [request.partition_key for request in result.run_requests or []]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One where nothing was loaded."""
    with open_instance(load_settings(home=tmp_path_factory.mktemp("empty"))) as opened:
        yield opened


def scheduled(instance: dg.DagsterInstance, at: datetime, settings: Settings = DAY) -> list[str | None]:
    definitions, resources = build_definitions(settings), build_resources(settings)
    cron = definitions.resolve_schedule_def("flows_schedule").cron_schedule
    assert cron == ("* * * * *" if settings.simulated_speed else "20 */3 * * *")
    return scheduled_keys(definitions, "flows_schedule", at, instance, resources)


@pytest.mark.parametrize(
    ("hour", "keys"), [(0, []), (3, KEYS[:1]), (6, KEYS[:2]), (9, KEYS[:3]), (12, KEYS[1:4]), (21, KEYS[4:7])]
)
def test_the_schedule_asks_for_the_window_that_closed_and_the_look_back(
    instance: dg.DagsterInstance, hour: int, keys: list[str]
) -> None:
    assert scheduled(instance, datetime(2014, 1, 1, hour, 20, tzinfo=UTC)) == keys


def test_the_schedule_ends_with_the_data_set(instance: dg.DagsterInstance) -> None:
    assert scheduled(instance, datetime(2014, 1, 2, 0, 20, tzinfo=UTC)) == KEYS[5:]
    assert scheduled(instance, datetime(2014, 1, 2, 3, 20, tzinfo=UTC)) == []
    assert scheduled(instance, datetime(2026, 11, 21, 3, 20, tzinfo=UTC)) == []


def look(platform: Platform, cursor: Cursor, now: datetime) -> dg.SensorResult | dg.SkipReason:
    declaration = flows_windows(platform.settings)
    return new_windows(declaration, platform.instance, platform.resources.fetch, now, cursor)


def cursor_of(result: object) -> Cursor:
    assert isinstance(result, dg.SensorResult)
    return Cursor.parse(result.cursor)


def test_the_sensor_asks_for_windows_that_closed_or_changed(platform: Platform) -> None:
    noon = datetime(2014, 1, 1, 12, 30, tzinfo=UTC)
    first = look(platform, Cursor(), noon)
    assert requested(first) == KEYS[1:4]
    platform.run_windows(KEYS[1], KEYS[3])

    idle = look(platform, cursor_of(first), noon)
    assert requested(idle) == []
    assert "nothing new in 4,000 records" in str(idle.skip_reason)  # type: ignore[union-attr]

    three = look(platform, cursor_of(idle), noon + timedelta(hours=3))
    assert requested(three) == [KEYS[4]]
    platform.run_windows(KEYS[4])

    platform.change_database(  # a late record, in the look-back
        "INSERT INTO flows SELECT id + 100000, time, duration, src_comp, src_port, dst_comp, dst_port, "
        "protocol, packet_count, byte_count FROM flows WHERE time BETWEEN 32400 AND 43199 LIMIT 1"
    )
    late = look(platform, cursor_of(three), noon + timedelta(hours=3))
    assert requested(late) == [KEYS[3]]
    assert late.run_requests[0].run_key == f"{KEYS[3]}@4001"  # type: ignore[union-attr,index]
    assert platform.run_windows(KEYS[3]).success
    assert requested(look(platform, cursor_of(late), noon + timedelta(hours=3))) == []


def test_the_sensor_as_dagster_runs_it(platform: Platform) -> None:
    sensor = platform.definitions.resolve_sensor_def("flows_new_windows")
    context = dg.build_sensor_context(
        instance=platform.instance, definitions=platform.definitions, resources=platform.resources._asdict()
    )
    data = sensor.evaluate_tick(context)
    assert [request.partition_key for request in data.run_requests or []] == KEYS[5:]


def test_a_new_raw_file_starts_a_rebuild_once_it_rests(make_platform: MakePlatform, tmp_path: object) -> None:
    made = make_platform(raw_file=load_settings().home / "absent")
    raw = made.settings.home / "flows.txt"
    settings = made.settings.model_copy(update={"raw_file": raw})
    sensor = raw_file_sensor(settings, files_job())

    def tick(cursor: str | None) -> tuple[list[str | None], str | None]:
        data = sensor.evaluate_tick(dg.build_sensor_context(instance=made.instance, cursor=cursor))
        return [request.run_key for request in data.run_requests or []], data.cursor

    assert tick(None)[0] == []
    raw.write_text("1,0,C1,N1,C2,445,6,1,46\n")
    keys, cursor = tick(None)
    assert keys == []
    raw.write_text("1,0,C1,N1,C2,445,6,1,46\n" * 2)  # still growing
    keys, cursor = tick(cursor)
    assert keys == []
    keys, cursor = tick(cursor)
    assert keys == [cursor]
