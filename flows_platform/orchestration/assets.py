"""The assets of a windowed table, made by one op: staged Parquet files, the warehouse's table, sinks; with checks.

One op for all, so that in a run of many windows each good one is loaded though another fails. Each window's results
are recorded as it lands, under its own key; the run fails at its end if a window did, and names it.
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


CONFIRM = "flows/confirm"  # a tag: the dialogs that launch backfills take no configuration


class WindowsConfig(dg.Config):
    """How a run of windows gets its records."""

    reprocess: bool = Field(False, description="Cast the quarantined records again after a fix, instead of fetching.")
    replay: bool = Field(False, description="The old name of `reprocess`; it ends with 0.3.")
    confirm: bool = Field(
        False, description="Publish also windows that lost rows, without a second pull; as the tag flows/confirm: true."
    )


def windowed_assets(declaration: WindowedTable) -> dg.AssetsDefinition:
    """The assets `declaration.staged`, `declaration.table.name` and the sinks; each may be materialised alone."""

    @dg.multi_asset(
        name=f"{declaration.table.name}_windows",
        specs=[
            _staged_spec(declaration),
            _table_spec(declaration),
            *(_sink_spec(declaration, sink) for sink in declaration.sinks),
        ],
        check_specs=window_checks(declaration),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(declaration.windows_per_run),
        pool=f"{declaration.table.name}_publish",
    )
    def windows(
        context: dg.AssetExecutionContext, config: WindowsConfig, fetch: FetchResource, warehouse: WarehouseResource
    ) -> Iterator[Any]:
        wanted = [sink for sink in declaration.sinks if sink.key in context.selected_asset_keys]
        with declaration.pipeline(fetch, warehouse) as pipeline, _opened(wanted, pipeline) as fills:
            confirm = config.confirm or context.run.tags.get(CONFIRM) == "true"
            run = WindowRun(
                context, declaration, pipeline, fills, reprocess=reprocesses(context, config), confirm=confirm
            )
            yield from run.all_windows()

    return with_code(windows)


def reprocesses(context: dg.AssetExecutionContext, config: WindowsConfig) -> bool:
    """Whether a run casts rejects again instead of fetching; its configuration may have the old name."""
    if config.replay:
        context.log.warning(notice("replay: true", "reprocess: true"))
    return config.reprocess or config.replay


def _staged_spec(declaration: WindowedTable) -> dg.AssetSpec:
    schema = declaration.table.schema
    return dg.AssetSpec(
        declaration.staged,
        deps=list(declaration.upstream),
        description="The API's records of one window as one Parquet file: streamed, cast once, counted against what "
        "the source declares. Records that do not fit are set aside in the window's quarantine file.",
        partitions_def=declaration.partitions,
        group_name=declaration.group,
        owners=[declaration.owner],
        kinds={"python", "parquet"},
        skippable=True,
        freshness_policy=freshness_policy(declaration),
        metadata={
            "dagster/column_schema": figures.column_schema(schema.columns),
            "dagster/uri": str(declaration.folder),
            **figures.lineage(_same_columns(declaration)),
            **code_at(declaration.declared_in),
        },
    )


def _same_columns(declaration: WindowedTable) -> dict[str, list[dg.TableColumnDep]]:
    """Where staged columns come from; nowhere that Dagster knows for an API that is not ours."""
    return figures.same_columns(declaration.table.schema, declaration.upstream[0]) if declaration.upstream else {}


def _table_spec(declaration: WindowedTable) -> dg.AssetSpec:
    table, console = declaration.table, declaration.console
    return dg.AssetSpec(
        table.name,
        deps=[declaration.staged],
        description=f"{table.schema.description} Partitioned by the {table.granularity} on {_partition_source(table)}; "
        "a window is replaced in one statement.",
        partitions_def=declaration.partitions,
        group_name=declaration.group,
        owners=[declaration.owner],
        kinds={"bigquery", "table"},
        skippable=True,
        freshness_policy=freshness_policy(declaration),
        metadata={
            "dagster/column_schema": figures.column_schema(table.columns),
            "dagster/table_name": f"{declaration.dataset}.{table.name}",
            **({"console": dg.MetadataValue.url(console.table(table.name))} if console else {}),
            **code_at(declaration.declared_in),
            **figures.lineage(figures.same_columns(table.schema, declaration.staged) | _derived(declaration)),
        },
    )


def _sink_spec(declaration: WindowedTable, sink: Sink) -> dg.AssetSpec:
    return dg.AssetSpec(
        sink.name,
        deps=[declaration.table.name if sink.of_table else declaration.staged],
        description=sink.description,
        partitions_def=declaration.partitions,
        group_name=declaration.group,
        owners=[declaration.owner],
        kinds=set(sink.kinds),
        skippable=True,
        freshness_policy=freshness_policy(declaration),
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


def _derived(declaration: WindowedTable) -> dict[str, list[dg.TableColumnDep]]:
    """Where the column that the warehouse adds comes from."""
    table = declaration.table
    if table.event_time is None:
        return {}
    time = dg.TableColumnDep(asset_key=declaration.staged_key, column_name=table.schema.time)
    return {table.event_time.name: [time]}
