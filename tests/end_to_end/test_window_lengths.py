"""Windows of a quarter of an hour and of months, from a loopback server into the emulator: counts, clocks, commands."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator

from flows_platform.cli.commands.source_try import run_try
from flows_platform.cli.commands.verify import run_history, run_reprocess, run_verify
from flows_platform.components.loader import load_declaration
from flows_platform.domain.wanted_windows import Cursor
from flows_platform.orchestration.automation.new_windows_sensor import new_windows
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import load_settings
from tests.components.yaml_platform import YamlSource
from tests.end_to_end.conftest import MakePlatform, scheduled_keys
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

pytestmark = pytest.mark.slow

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
YAML = """
type: flows_platform.components.WindowedApiTable
attributes:
  name: readings
  api:
    url: {url}/readings
    format: json
    records: readings
    time: {{after: from, before: to, before_inclusive: false{longest}}}
  columns:
    - {{name: id, type: int64, required: true}}
    - {{name: at, type: timestamp, required: true}}
  time: at
  key: id
  partitions: {{cron: "{cron}", start: {start}, timezone: {zone}}}
  destination: {{partition_by: {partition_by}}}
"""


class Readings(SmallServer):
    """Records at the given instants; their ids are the positions in the list."""

    def __init__(self, instants: list[datetime]) -> None:
        super().__init__(self.readings)
        self.instants = dict(enumerate(instants))

    def readings(self, asked: Asked) -> Answer:
        first, end = (datetime.fromisoformat(asked.parameters[name]) for name in ("from", "to"))
        found = [{"id": number, "at": at.isoformat()} for number, at in self.instants.items() if first <= at < end]
        return document({"readings": found})

    def counts(self, key: Callable[[datetime], str]) -> dict[str, int]:
        """The numbers of records by the key of their window."""
        return dict(Counter(map(key, self.instants.values())))


@dataclass(frozen=True)
class Case:
    """A source's windows, its records, and a way to say a record's window that shares no code with the platform."""

    cron: str
    start: str
    zone: str
    partition_by: str
    instants: list[datetime]
    key: Callable[[datetime], str]
    longest: str = ""


def every(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Instants of an odd step, and both sides of every hour: bounds of windows are among them."""
    numbers = range((end - start) // step)
    hours = range((end - start) // timedelta(hours=1))
    edges = [start + hour * timedelta(hours=1) for hour in hours]
    return sorted({*(start + number * step for number in numbers), *edges, *(at - MINUTE / 60 for at in edges[1:])})


def quarter(at: datetime, first: int = 0) -> str:
    shifted = at - first * MINUTE
    return f"{shifted.replace(minute=shifted.minute // 15 * 15) + first * MINUTE:%Y-%m-%d-%H:%M}"


def month(at: datetime) -> str:
    return f"{at.astimezone(BERLIN):%Y-%m}-01-00:00"


NIGHT = datetime(2024, 2, 29, 22, 0, tzinfo=UTC)
QUARTERS = Case(
    "*/15 * * * *",
    "2024-02-29T22:00:00",
    "UTC",
    "hour",
    every(NIGHT, NIGHT + 150 * MINUTE, timedelta(minutes=1, seconds=7)),
    quarter,
)
SHIFTED = replace(
    QUARTERS,
    cron="7-59/15 * * * *",
    start="2024-02-29T22:07:00",
    partition_by="day",
    instants=[at + 7 * MINUTE for at in QUARTERS.instants],
    key=lambda at: quarter(at, 7),
)
YEAR = datetime(2023, 10, 1, tzinfo=BERLIN).astimezone(UTC)
MONTHS = Case(
    "0 0 1 * *",
    "2023-10-01T00:00:00",
    "Europe/Berlin",
    "month",
    every(YEAR, YEAR + 250 * DAY, timedelta(hours=7, minutes=13)),
    month,
    ", longest_days: 10",
)
CASES = {"quarters of an hour": QUARTERS, "from minute 7 on": SHIFTED, "months of a zone": MONTHS}


@pytest.fixture(
    params=[name if name == "quarters of an hour" else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def server(case: Case) -> Iterator[Readings]:
    with Readings(case.instants) as server:
        yield server


@pytest.fixture
def source(
    case: Case, server: Readings, make_platform: MakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> YamlSource:
    made = make_platform(retry_attempts=2)
    path = tmp_path / "readings.yaml"
    keys = {name: getattr(case, name) for name in ("cron", "start", "zone", "partition_by", "longest")}
    path.write_text(YAML.format(url=server.origin, **keys))
    for name in ("home", "bigquery_dataset", "emulator_port", "emulator_key_file", "retry_attempts"):
        monkeypatch.setenv(f"FLOWS_{name.upper()}", str(getattr(made.settings, name)))
    monkeypatch.setenv("FLOWS_SOURCES", str(path))
    source = YamlSource(load_declaration(path, made.settings), load_settings(), dg.Definitions(), made.instance)
    resources = dg.Definitions(resources=build_resources(source.settings)._asdict(), executor=dg.in_process_executor)
    return replace(source, definitions=dg.Definitions.merge(windowed_definitions(source.table), resources))


def loaded(source: YamlSource, case: Case) -> dict[str, int]:
    """The rows in BigQuery by the key of their window."""
    return dict(Counter(case.key(row["at"]) for row in source.rows("id")))  # type: ignore[arg-type]


def test_a_backfill_loads_every_window_exactly(
    source: YamlSource, server: Readings, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = server.counts(case.key)
    grid, keys = source.table.grid, sorted(expected)
    assert keys == [grid.nth(number).key for number in range(len(keys))]
    first, *_, last = (grid.from_key(key).start.astimezone(grid.zone) for key in keys)

    done = source.run(first, last)  # as a backfill of the windows launches it

    assert done.success
    assert source.failed_checks(done) == []
    assert loaded(source, case) == expected
    assert {key: source.figures(key)["rows"] for key in keys} == expected
    with source.table.pipeline(*build_resources(source.settings)) as pipeline:
        counts = pipeline.warehouse.window_counts(pipeline.table, grid)
        names = [f"{key.replace(':', '')}.parquet" for key in keys]
        assert sorted(path.name for path in pipeline.folder.glob("*.parquet")) == names
    assert {window.key: rows for window, rows in counts.items()} == expected
    assert all("rows_by_time" in source.figures(key) for key in keys)

    key = keys[2]
    assert run_try("readings", key, limit=None, out=None, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == expected[key]
    assert run_verify("readings", [key, keys[0]], by_rows=True)
    assert f"2 windows, {expected[key] + expected[keys[0]]:,} records compared by digest" in capsys.readouterr().out
    assert run_reprocess("readings", [key], confirm=False)
    run_history("readings", key)
    assert f"rows_committed {expected[key]}, rows_replaced {expected[key]}" in capsys.readouterr().out


def test_a_window_alone_is_replaced_within_its_partition(source: YamlSource, server: Readings, case: Case) -> None:
    expected = server.counts(case.key)
    keys = sorted(expected)
    grid = source.table.grid
    bounds = [grid.from_key(key).start.astimezone(grid.zone) for key in keys[:3]]
    assert source.run(bounds[0], bounds[2]).success
    there = set(range(len(server.instants)))
    gone = {number for number in there if case.key(server.instants[number]) in keys[:3] and number % 3 == 0}
    server.instants = {number: at for number, at in server.instants.items() if number not in gone}

    assert source.run(bounds[1], bounds[1]).success

    fewer = server.counts(case.key)
    assert fewer[keys[1]] < expected[keys[1]]
    assert loaded(source, case) == {keys[0]: expected[keys[0]], keys[1]: fewer[keys[1]], keys[2]: expected[keys[2]]}


TICKS = {
    # At 00:05 the window of 23:30 ended 20 minutes ago.
    "*/15 * * * *": (NIGHT + 125 * MINUTE, ["2024-02-29-23:00", "2024-02-29-23:15", "2024-02-29-23:30"]),
    "7-59/15 * * * *": (NIGHT + 132 * MINUTE, ["2024-02-29-23:07", "2024-02-29-23:22", "2024-02-29-23:37"]),
    # An hour and 20 minutes after midnight of Berlin, whose clock was put forward the day before.
    "0 0 1 * *": (
        datetime(2024, 3, 31, 23, 20, tzinfo=UTC),
        ["2024-01-01-00:00", "2024-02-01-00:00", "2024-03-01-00:00"],
    ),
}


def test_schedule_and_sensor_request_windows_once_their_grace_is_over(source: YamlSource, case: Case) -> None:
    at, keys = TICKS[case.cron]
    resources = build_resources(source.settings)
    assert scheduled_keys(source.definitions, "readings_schedule", at, source.instance, resources) == keys
    schedule = source.definitions.resolve_schedule_def("readings_schedule")
    ticks = cron_string_iterator((at - MINUTE / 2).timestamp(), str(schedule.cron_schedule), str(source.table.zone))
    assert next(ticks).astimezone(UTC) == at

    def tick(wall: datetime, cursor: Cursor) -> tuple[list[str | None], Cursor]:
        seen = new_windows(source.table, source.instance, resources.fetch, wall, cursor)
        assert isinstance(seen, dg.SensorResult)
        return [request.partition_key for request in seen.run_requests or []], Cursor.parse(seen.cursor)

    requested, cursor = tick(at, Cursor())
    assert requested == keys
    assert tick(at + MINUTE / 2, cursor)[0] == []
    assert tick(at, Cursor(last="2024-02-29-23:01"))[0] == keys  # a window that an earlier cron declared
    next_end = source.table.grid.after(source.table.grid.after(source.table.grid.from_key(keys[-1]))).end
    assert (
        tick(next_end + 19 * MINUTE, cursor)[0][-1] == source.table.grid.after(source.table.grid.from_key(keys[-1])).key
    )
