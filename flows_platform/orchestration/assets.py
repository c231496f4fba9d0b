"""The assets of a windowed table, computed by one op: window files, the table in BigQuery, sinks; with checks.

With one op, a run of many windows loads the good ones although others fail. A window's results are recorded under its
key as soon as they exist. If a window failed, the run fails at its end and names it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from flows_platform.domain.schema import WarehouseTable
from flows_platform.orchestration.checks import window_checks
from flows_platform.orchestration.code_references import code_at, with_code
from flows_platform.orchestration.freshness import freshness_policy
from flows_platform.orchestration.metadata import figures
from flows_platform.orchestration.resources import FetchResource, WarehouseResource
from flows_platform.orchestration.run import WindowRun
from flows_platform.orchestration.table import Fill, Sink, WindowedTable
from flows_platform.runtime.old_names import notice

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowPipeline


CONFIRM = "flows/confirm"  # a tag, since Dagster's dialog for backfills takes no configuration


class WindowsConfig(dg.Config):
    """Where a run takes its records from, and whether windows may shrink."""

    reprocess: bool = Field(
        default=False, description="Cast the quarantined records again after a fix, instead of fetching."
    )
    replay: bool = Field(default=False, description="The old name of `reprocess`; it ends with 0.3.")
    confirm: bool = Field(
        default=False,
        description="Publish windows that lost rows without a second fetch, and store a snapshot's list of now under "
        "earlier windows; the tag flows/confirm: true does the same.",
    )


def windowed_assets(table: WindowedTable) -> dg.AssetsDefinition:
    """The assets `table.files_asset`, `table.name` and the sinks; any of them may be materialised alone."""

    @dg.multi_asset(
        name=f"{table.name}_windows",
        specs=[
            _files_spec(table),
            _table_spec(table),
            *(_sink_spec(table, sink) for sink in table.sinks),
        ],
        check_specs=window_checks(table),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(table.windows_per_run),
        pool=f"{table.name}_publish",
    )
    def windows(
        context: dg.AssetExecutionContext, config: WindowsConfig, fetch: FetchResource, warehouse: WarehouseResource
    ) -> Iterator[Any]:
        wanted = [sink for sink in table.sinks if sink.key in context.selected_asset_keys]
        with table.pipeline(fetch, warehouse) as pipeline, _opened(wanted, pipeline) as fills:
            confirm = config.confirm or context.run.tags.get(CONFIRM) == "true"
            run = WindowRun(context, table, pipeline, fills, reprocess=reprocesses(context, config), confirm=confirm)
            yield from run.all_windows()

    return with_code(windows)


def reprocesses(context: dg.AssetExecutionContext, config: WindowsConfig) -> bool:
    """Whether a run casts rejected records again instead of fetching; its configuration may use the old name."""
    if config.replay:
        context.log.warning(notice("replay: true", "reprocess: true"))
    return config.reprocess or config.replay


def _files_spec(table: WindowedTable) -> dg.AssetSpec:
    schema = table.table.schema
    return dg.AssetSpec(
        table.files_asset,
        deps=list(table.upstream),
        description="The API's records of one window as one Parquet file: streamed, cast once, counted against what "
        "the source declares. Records that do not fit are kept in the window's quarantine file.",
        partitions_def=table.partitions,
        group_name=table.group,
        owners=table.owners,
        kinds={"python", "parquet"},
        skippable=True,
        freshness_policy=freshness_policy(table),
        metadata={
            "dagster/column_schema": figures.column_schema(schema.columns),
            "dagster/uri": str(table.folder),
            **figures.lineage(_same_columns(table)),
            **code_at(table.declared_in),
        },
    )


def _same_columns(table: WindowedTable) -> dict[str, list[dg.TableColumnDep]]:
    """Lineage of the window files' columns; empty if the API does not serve an asset with the same columns."""
    served = table.upstream and not table.changes  # an archive has records as they came
    return figures.same_columns(table.table.schema, table.upstream[0]) if served else {}


def _table_spec(table: WindowedTable) -> dg.AssetSpec:
    target, console = table.table, table.cloud_console
    return dg.AssetSpec(
        target.name,
        deps=[table.files_asset],
        description=f"{target.schema.description} Partitioned by the {target.granularity} on "
        f"{_partition_source(target)}; "
        "a window is replaced in one statement.",
        partitions_def=table.partitions,
        group_name=table.group,
        owners=table.owners,
        kinds={"bigquery", "table"},
        skippable=True,
        freshness_policy=freshness_policy(table),
        metadata={
            "dagster/column_schema": figures.column_schema(target.columns),
            "dagster/table_name": f"{table.dataset}.{target.name}",
            **({"console": dg.MetadataValue.url(console.table(target.name))} if console else {}),
            **code_at(table.declared_in),
            **figures.lineage(figures.same_columns(target.schema, table.files_asset) | _derived(table)),
        },
    )


def _sink_spec(table: WindowedTable, sink: Sink) -> dg.AssetSpec:
    return dg.AssetSpec(
        sink.name,
        deps=[table.name if sink.of_table else table.files_asset],
        description=sink.description,
        partitions_def=table.partitions,
        group_name=table.group,
        owners=table.owners,
        kinds=set(sink.kinds),
        skippable=True,
        freshness_policy=freshness_policy(table),
        metadata=dict(sink.metadata),
    )


@contextmanager
def _opened(sinks: list[Sink], pipeline: "WindowPipeline") -> Iterator[dict[dg.AssetKey, Fill]]:
    with ExitStack() as stack:
        yield {sink.key: stack.enter_context(sink.open(pipeline)) for sink in sinks}


def _partition_source(table: WarehouseTable) -> str:
    if table.event_time is None:
        return table.instant.name
    return f"{table.event_time.name} = {table.schema.epoch:%Y-%m-%dT%H:%M:%SZ} + {table.schema.time} seconds"


def _derived(table: WindowedTable) -> dict[str, list[dg.TableColumnDep]]:
    """Lineage of the event time that the warehouse adds."""
    target = table.table
    if target.event_time is None:
        return {}
    time = dg.TableColumnDep(asset_key=table.files_key, column_name=target.schema.time)
    return {target.event_time.name: [time]}
