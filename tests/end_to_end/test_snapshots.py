"""A list without a range: each day's window holds the list of that day, which no later list replaces by itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import load_declaration
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.overdue import lag_sensor
from flows_platform.orchestration.confirmations import confirmable, waiting
from flows_platform.orchestration.partitions import range_tags
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.pipeline.compare import compare_counts, compare_rows
from flows_platform.warehouse.replace_window import Published
from flows_platform.window_files.ledger import Withheld
from tests.components.yaml_platform import KEY, YamlSource, failure
from tests.end_to_end.conftest import MakePlatform
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
# The days change twelve hours from now, so the newest closed window stays the same while the tests run.
TODAY = datetime.now(UTC).replace(second=0, microsecond=0) - 12 * HOUR
DAYS = [TODAY - number * timedelta(days=1) for number in range(4, 0, -1)]  # the last is the newest closed window
YAML = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: catalogue
  api:
    url: {url}/catalogue
    format: json
    records: items
    snapshot: true
    total: count
    verification: count
  columns:
    - {{name: id, type: int64, required: true}}
    - {{name: window_at, type: timestamp, from: window_start, required: true}}
  time: window_at
  key: id
  partitions: {{cron: {cron}, start: {start}}}
  destination: {{partition_by: day}}
  grace_minutes: 0
"""


class Catalogue(SmallServer):
    """Gives its list, whatever is asked for."""

    def __init__(self) -> None:
        super().__init__(self._list)
        self.items = [1, 2, 3]

    def _list(self, _: Asked) -> Answer:
        return document({"count": len(self.items), "items": [{"id": number} for number in self.items]})


@pytest.fixture
def server() -> Iterator[Catalogue]:
    with Catalogue() as server:
        yield server


@pytest.fixture
def source(server: Catalogue, make_platform: MakePlatform, tmp_path: Path) -> YamlSource:
    made = make_platform(retry_attempts=1)
    path = tmp_path / "defs.yaml"
    path.write_text(YAML.format(url=server.origin, cron=f"{TODAY:%-M %-H * * *}", start=f"{DAYS[0]:%Y-%m-%dT%H:%M:00}"))
    declaration = load_declaration(path, made.settings)
    table = windowed_table(declaration, made.settings)
    resources = dg.Definitions(resources=build_resources(made.settings)._asdict(), executor=dg.in_process_executor)
    definitions = dg.Definitions.merge(resources, windowed_definitions(table))
    return YamlSource(declaration, made.settings, definitions, made.instance)


def lists(source: YamlSource) -> dict[datetime, list[int]]:
    found: dict[datetime, list[int]] = {}
    for row in source.rows("window_at, id"):
        found.setdefault(row["window_at"], []).append(row["id"])  # type: ignore[arg-type]
    return found


def window(source: YamlSource, day: datetime) -> Window:
    return source.table.grid.floor(day)


def test_a_list_of_now_is_not_stored_as_that_of_an_earlier_day(server: Catalogue, source: YamlSource) -> None:
    run = source.run(DAYS[0], DAYS[-1])
    errors = failure(run)
    assert list(errors) == [f"{day:{KEY}}" for day in DAYS[:-1]]
    assert errors[f"{DAYS[0]:{KEY}}"].startswith(
        f"the API of catalogue gives its list of now, which is that of the window {DAYS[-1]:{KEY}}: the list "
        f"of {DAYS[0]:{KEY}} can no longer be fetched. To store the list of now under this window, run it with"
    )
    assert len(server.requests) == 1
    assert lists(source) == {DAYS[-1]: [1, 2, 3]}
    assert str(source.figures(f"{DAYS[-1]:{KEY}}")["verification"]).startswith("L2 count")


def test_a_person_may_store_it_all_the_same(server: Catalogue, source: YamlSource) -> None:
    assert source.run(DAYS[1], DAYS[1], confirm=True).success
    server.items = [2, 3, 4, 5]
    assert source.run(DAYS[-1], DAYS[-1]).success
    assert lists(source) == {DAYS[1]: [1, 2, 3], DAYS[-1]: [2, 3, 4, 5]}
    with source.table.pipeline(*build_resources(source.settings)[:2]) as pipeline:
        windows = [window(source, day) for day in (DAYS[1], DAYS[-1])]
        found = [*compare_counts(pipeline, source.table.grid, windows), *compare_rows(pipeline, windows)]
    assert [compared.difference for compared in found] == [""] * 4
    assert all(compared.is_compared for compared in found)
    lag = lag_sensor(source.table)
    told = lag(dg.build_sensor_context(instance=source.instance))
    assert "All closed windows are in the table: 3. The lists of 1 older windows" in str(told)


def test_an_older_list_is_published_again_from_its_file(server: Catalogue, source: YamlSource) -> None:
    assert source.run(DAYS[1], DAYS[1], confirm=True).success
    source.query("DELETE FROM catalogue WHERE TRUE")
    server.items = []
    tags = range_tags(*[f"{DAYS[1]:{KEY}}"] * 2)
    job = source.definitions.resolve_job_def("catalogue_windows_job")
    chosen = [dg.AssetKey("catalogue")]
    assert job.execute_in_process(instance=source.instance, tags=tags, asset_selection=chosen).success
    assert lists(source) == {DAYS[1]: [1, 2, 3]}


def test_an_empty_list_waits_for_the_next_one_even_in_a_new_window(server: Catalogue, source: YamlSource) -> None:
    assert source.run(DAYS[1], DAYS[1], confirm=True).success
    server.items = []
    run = source.run(DAYS[-1], DAYS[-1])
    assert run.success
    assert source.failed_checks(run) == [(f"{DAYS[-1]:{KEY}}", "rows_agree")]
    assert lists(source) == {DAYS[1]: [1, 2, 3]}
    (withheld,) = waiting(source.table).values()
    assert (withheld.rows, withheld.rows_held) == (0, 3)
    assert [found.start for found in confirmable(source.table, withheld.first_said + HOUR)] == [DAYS[-1]]
    assert confirmable(source.table, TODAY + timedelta(days=1, hours=1)) == {}  # its list is gone then
    assert isinstance(pulled(source, DAYS[-1], withheld.first_said + HOUR / 2), Withheld)
    assert isinstance(pulled(source, DAYS[-1], withheld.first_said + HOUR), Published)


def test_the_next_windows_list_confirms_the_one_before(server: Catalogue, source: YamlSource) -> None:
    server.items = list(range(200))
    now = datetime.now(UTC) + timedelta(minutes=1)
    assert isinstance(pulled(source, DAYS[0], now), Published)
    server.items = list(range(50))
    assert isinstance(pulled(source, DAYS[1], now + HOUR), Withheld)
    server.items = list(range(52))
    assert isinstance(pulled(source, DAYS[2], now + 2 * HOUR), Published)
    server.items = list(range(20))
    assert isinstance(pulled(source, DAYS[3], now + 9 * HOUR), Published)  # fewer than 100 rows may go
    server.items = []
    assert isinstance(pulled(source, DAYS[3], now + 12 * HOUR), Withheld)


def pulled(source: YamlSource, day: datetime, at: datetime) -> Published | Withheld:
    """The window fetched and published at that time, and what came of it."""
    fetched = window(source, day)
    with source.table.pipeline(*build_resources(source.settings)[:2]) as opened:
        pipeline = replace(opened, now=lambda: at)
        pipeline.warehouse.ensure_table(pipeline.table)
        pipeline.fetch(fetched)
        held = pipeline.held(source.table.grid, [fetched])
        return pipeline.publish(fetched, "test", held=held[fetched])
