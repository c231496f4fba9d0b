"""What pages show of windows and tables: slices, labels, cells, links, code. A failing chart fails no window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.components.catalog import read_catalog
from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.domain.windows import Window
from flows_platform.orchestration.assets import windowed_assets
from flows_platform.orchestration.metadata import charts
from flows_platform.orchestration.metadata.charts import SLICES, slice_of, table_charts
from flows_platform.orchestration.metadata.cloud_links import CloudConsole
from flows_platform.orchestration.metadata.figures import quarantined
from flows_platform.orchestration.metadata.first_rows import TEXT, cell
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (MINUTE * 15, MINUTE),
        (HOUR, HOUR / 12),
        (3 * HOUR, HOUR / 6),
        (23 * HOUR, HOUR),
        (25 * HOUR, 3 * HOUR),
        (31 * DAY, 7 * DAY),
    ],
)
def test_a_window_has_a_readable_number_of_slices(length: timedelta, step: timedelta) -> None:
    assert slice_of(Window(START, START + length)) == step
    assert length / step <= SLICES


def labels(step: timedelta, number: int) -> list[str]:
    slices = [(START + index * step, 1) for index in range(number)]
    return [text for start, _ in slices if (text := charts._clock(start, slices))]


def test_labels_are_hours_within_a_day_and_dates_beyond() -> None:
    assert labels(HOUR / 6, 18) == ["00:00", "01:00", "02:00"]
    assert labels(HOUR, 24) == [f"{hour:02}:00" for hour in range(0, 24, 3)]
    assert labels(HOUR, 72) == ["03-01", "03-02", "03-03"]
    assert labels(DAY, 30) == ["03-01", "03-08", "03-15", "03-22", "03-29"]
    assert labels(HOUR, 1) == ["00:00"]
    assert labels(MINUTE, 15) == ["00:00", "00:05", "00:10"]
    assert labels(5 * MINUTE, 12) == ["00:00", "00:15", "00:30", "00:45"]
    assert labels(MINUTE, 2) == ["00:00", "00:01"]
    assert labels(7 * DAY, 5) == ["03-01", "03-08", "03-15", "03-22", "03-29"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (7, 7),
        (2**60, str(2**60)),
        (START, "2024-03-01 00:00:00"),
        ("x" * 61, "x" * (TEXT - 1) + "…"),
    ],
)
def test_a_cell_is_short_and_exact(value: object, shown: object) -> None:
    assert cell(value) == shown
    assert type(cell(value)) is type(shown)


def test_links_to_the_console_only_where_there_is_one() -> None:
    console = CloudConsole("acme", "network", "EU")
    assert console.table("flows").endswith("bigquery?project=acme&p=acme&d=network&t=flows&page=table")
    assert console.job("load_1").endswith("bigquery?project=acme&j=bq:EU:load_1&page=queryresults")
    flows = {project: read_catalog(load_settings(bigquery_project=project)).tables[0] for project in ("", "acme")}
    assert flows[""].cloud_console is None
    assert flows["acme"].cloud_console == CloudConsole("acme", "flows_platform", "US")
    spec = windowed_assets(flows["acme"]).specs_by_key[dg.AssetKey("flows")]
    assert spec.metadata["console"] == dg.MetadataValue.url(CloudConsole("acme", "flows_platform", "US").table("flows"))


def test_code_leads_to_the_declaration_and_to_the_function() -> None:
    spec = windowed_assets(read_catalog(load_settings()).tables[0]).specs_by_key[dg.AssetKey("flow_windows")]
    references = spec.metadata["dagster/code_references"].code_references
    files = [Path(reference.file_path) for reference in references]
    assert [file.name for file in files] == ["defs.yaml", "assets.py"]
    assert all(file.exists() for file in files)


class Unavailable:
    """A warehouse that answers no query."""

    def select(self, *query: object) -> list[object]:
        raise WarehouseUnavailable(f"{query[-1]}: it is gone.")


def test_a_picture_that_cannot_be_had_costs_no_window() -> None:
    window = Window(START, START + 3 * HOUR)
    shown = table_charts(FLOWS_TABLE, (), window, Unavailable())  # type: ignore[arg-type]
    assert shown == {"pictures": dg.MetadataValue.text("none: charting flows: it is gone.")}


def test_the_first_rejects_are_shown_with_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "w.rejected.ndjson"
    lines = [f'{{"position": {position}, "reason": "no number", "raw": "{{}}"}}\n' for position in range(1, 9)]
    file.write_text("".join(lines))
    shown = quarantined(file)
    table = shown["first_rejected"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["position"] for record in table.records] == [1, 2, 3, 4, 5]
    assert shown["quarantine"] == dg.MetadataValue.path(file)
