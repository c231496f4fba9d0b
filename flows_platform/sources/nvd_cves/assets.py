"""The SQL tables in Dagster: filled window by window beside BigQuery's tables, and from all of NVD at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from flows_platform.domain.schema import TableSchema
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.metadata.figures import Metadata, column_schema
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import Fill, Sink, WindowedTable
from flows_platform.settings import Settings
from flows_platform.sources.nvd_cves.schema import CVES, NOTICE

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowPipeline
    from flows_platform.sources.nvd_cves.full_load import FullLoad, Totals
    from flows_platform.sources.nvd_cves.store import Counts, CveStore

TABLES = "nvd_cve_tables"
FULL_LOAD = "nvd_full_load"
TOTALS_AGREE = "totals_agree"
KINDS = frozenset({"python", "sql"})
SHOWN: dict[str, object] = {"dagster/column_schema": column_schema(CVES.columns), "dagster/table_name": CVES.name}


def cve_tables(settings: Settings, schema: TableSchema) -> Sink:
    """The sink that makes rows of the SQL tables from windows of CVEs, whose files have `schema`."""

    @contextmanager
    def opened(pipeline: "WindowPipeline") -> Iterator[Fill]:
        from flows_platform.sources.nvd_cves.upsert import fill  # noqa: PLC0415 - loads SQLAlchemy and pyarrow

        with _store(settings) as store:

            def into_tables(window: Window, _: str) -> Metadata:
                window_file = pipeline.proven_path(window)
                store.create_tables()
                filled = fill(store, window_file, schema, settings.files.windows / TABLES / window_file.name)
                return {
                    "dagster/partition_row_count": dg.MetadataValue.int(filled.read),
                    "rows": dg.MetadataValue.int(filled.newer),
                    "file": dg.MetadataValue.path(filled.path),
                    **_counted(filled.counts),
                }

            yield into_tables

    description = (
        "The CVEs of the window that are newer than those in the database: first as a Parquet file of their own, then "
        f"in the table {CVES.name} and its child tables, where a changed CVE replaces its rows. {NOTICE}"
    )
    return Sink(TABLES, description, KINDS, opened, SHOWN)


class FullLoadConfig(dg.Config):
    """How much is loaded."""

    everything: bool = Field(False, description="Also load the ranges whose counts agree.")


def full_load(table: WindowedTable, settings: Settings, now: Callable[[], datetime] = utc_now) -> dg.AssetsDefinition:
    """The SQL tables from everything that NVD has; `now` is the clock."""
    check = dg.AssetCheckSpec(
        TOTALS_AGREE, asset=FULL_LOAD, description="The database has as many CVEs as NVD says that there are."
    )

    @dg.asset(name=FULL_LOAD, kinds=set(KINDS), group_name=table.group, owners=table.owners, check_specs=[check])
    def asset(context: dg.AssetExecutionContext, config: FullLoadConfig, fetch: FetchResource) -> dg.MaterializeResult:
        """The first load of the SQL tables, and their reconcile with NVD: every range whose number of CVEs differs."""
        with _loading(table, settings, fetch) as load:
            load.everything, load.say = config.everything, context.log.info
            totals = load.run(table.grid.start, now)
            load.source.sweep_pulls(now())
        agree = dg.AssetCheckResult(check_name=TOTALS_AGREE, passed=totals.agree, metadata=_totals(totals))
        return dg.MaterializeResult(metadata=_loaded(load) | _totals(totals), check_results=[agree])

    return asset


@contextmanager
def _loading(table: WindowedTable, settings: Settings, fetch: FetchResource) -> Iterator["FullLoad"]:
    from flows_platform.sources.nvd_cves.full_load import FullLoad  # noqa: PLC0415 - as above

    files = settings.files
    with table.fetching(fetch) as fetching, _store(settings) as store:
        store.create_tables()
        pulls = files.raw_pulls / FULL_LOAD if fetching.raw_pulls else None
        source = replace(fetching, folder=files.windows / FULL_LOAD, raw_pulls=pulls)
        yield FullLoad(source, store, files.windows / TABLES / FULL_LOAD)


@contextmanager
def _store(settings: Settings) -> Iterator["CveStore"]:
    from flows_platform.sources.nvd_cves.store import CveStore  # noqa: PLC0415 - as above
    from flows_platform.sql.engines import writer  # noqa: PLC0415 - as above

    engine = writer(settings.cves_url)
    try:
        yield CveStore(engine)
    finally:
        engine.dispose()


def _counted(counts: "Counts") -> Metadata:
    return {
        "inserted": dg.MetadataValue.int(counts.inserted),
        "updated": dg.MetadataValue.int(counts.updated),
        "unchanged": dg.MetadataValue.int(counts.unchanged),
        "notice": dg.MetadataValue.text(NOTICE),
    }


def _loaded(load: "FullLoad") -> Metadata:
    return {
        "ranges_compared": dg.MetadataValue.int(load.compared),
        "ranges_loaded": dg.MetadataValue.int(load.loaded),
        "received": dg.MetadataValue.int(load.received),
        "rejected": dg.MetadataValue.int(load.rejected),
        **_counted(load.counts),
    }


def _totals(totals: "Totals") -> Metadata:
    return {
        "total_at_source": dg.MetadataValue.int(totals.source),
        "total_in_database": dg.MetadataValue.int(totals.database),
    }
