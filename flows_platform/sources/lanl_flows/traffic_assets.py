"""The hourly traffic in Dagster: recomputed with every window, and checked against the flows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.domain.windows import Window
from flows_platform.orchestration.code_references import code_at
from flows_platform.orchestration.metadata.charts import Chart, table_charts
from flows_platform.orchestration.metadata.cloud_links import CloudConsole
from flows_platform.orchestration.metadata.figures import Metadata, column_schema, lineage, published_metadata
from flows_platform.orchestration.resources import WarehouseResource
from flows_platform.orchestration.table import Fill, Sink, WindowedTable
from flows_platform.sources.lanl_flows.schema import FLOWS, TRAFFIC_TABLE

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowPipeline

HOURS_SHOWN = 50

# Every column, with the columns of the flows that it is computed from.
ENDS = ("src_comp", "dst_comp")
MADE_OF = {
    "hour": ("event_time",),
    "computer": ENDS,
    "flows": ("id",),
    "packets": ("packet_count",),
    "bytes": ("byte_count",),
    "peers": ENDS,
}


def _flows_columns(*names: str) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(dg.AssetKey(FLOWS.name), name) for name in names]


def hourly_traffic(table: WindowedTable) -> Sink:
    """The windows' traffic, computed in the warehouse from the table's rows."""
    console = table.cloud_console
    return Sink(
        name=TRAFFIC_TABLE.name,
        description=f"{TRAFFIC_TABLE.schema.description} Computed in BigQuery; a window is replaced in one statement.",
        kinds=frozenset({"bigquery", "table"}),
        open=partial(_opened, console),
        metadata={
            "dagster/column_schema": column_schema(TRAFFIC_TABLE.columns),
            "dagster/table_name": f"{table.dataset}.{TRAFFIC_TABLE.name}",
            **({"console": dg.MetadataValue.url(console.table(TRAFFIC_TABLE.name))} if console else {}),
            **lineage({name: _flows_columns(*of) for name, of in MADE_OF.items()}),
            **code_at(None, hourly_traffic),
        },
        of_table=True,
        charts=_charts,
    )


def _charts(pipeline: "WindowPipeline", window: Window) -> Metadata:
    """Bytes by hour, and the computers with the most."""
    busiest = Chart(name="busiest_computers", by="computer")
    return table_charts(TRAFFIC_TABLE, [busiest], window, pipeline.warehouse, sum_of="bytes")


@contextmanager
def _opened(console: CloudConsole | None, pipeline: "WindowPipeline") -> Iterator[Fill]:
    from flows_platform.sources.lanl_flows.traffic import HOURLY_TRAFFIC  # noqa: PLC0415 - loads BigQuery's clients

    pipeline.warehouse.ensure_table(TRAFFIC_TABLE)

    def recompute(window: Window, run: str) -> Metadata:
        started = datetime.now(UTC)
        with pipeline.changing(TRAFFIC_TABLE.name, window):
            published = pipeline.warehouse.recompute_window(HOURLY_TRAFFIC, window, run)
        return published_metadata(published, started, datetime.now(UTC), console)

    yield recompute


def traffic_check() -> dg.AssetChecksDefinition:
    """A check of every hour's sums against those of the flows."""

    @dg.asset_check(
        asset=TRAFFIC_TABLE.name,
        name="sums_are_those_of_the_flows",
        description="In every hour, flows, packets and bytes have the sums of the table of flows, where a flow counts "
        "for both its ends.",
    )
    def check(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        from flows_platform.sources.lanl_flows.traffic import DIFFERING_HOURS  # noqa: PLC0415 - as above

        with warehouse.warehouse() as opened:
            rows = opened.select(DIFFERING_HOURS, (), f"checking {TRAFFIC_TABLE.name}")
        hours = [f"- {row['hour']:%Y-%m-%d %H:%M}" for row in rows]
        return dg.AssetCheckResult(
            passed=not hours,
            metadata={
                "differing_hours": len(hours),
                "hours": dg.MetadataValue.md("\n".join(hours[:HOURS_SHOWN]) or "none"),
            },
        )

    return check
