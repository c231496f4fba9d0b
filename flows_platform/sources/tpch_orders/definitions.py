"""What Dagster sees of this source: the generated files, and the windows that its YAML declares."""

import dagster as dg

from flows_platform.orchestration.code_references import with_code
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.runtime.progress_log import log_progress
from flows_platform.settings import Settings
from flows_platform.sources.tpch_orders.layout import TPCH_ORDERS

RAW_ORDERS = "raw_orders"


def tpch_definitions(declared: WindowedTable, settings: Settings) -> dg.Definitions:
    """The files, and the windows of `declared`."""
    return dg.Definitions.merge(windowed_definitions(declared), dg.Definitions(assets=[with_code(_raw(settings))]))


def _raw(settings: Settings) -> dg.AssetsDefinition:
    folder = settings.files.tpch_orders

    @dg.asset(
        name=RAW_ORDERS,
        kinds={"python", "json", "duckdb"},
        group_name=TPCH_ORDERS,
        owners=["team:security-data"],
        metadata={"dagster/uri": str(folder)},
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Orders of TPC-H at the scale of FLOWS_TPCH_SCALE, a file for each month; the API server serves them."""
        from flows_platform.sources.tpch_orders.generate import generate  # noqa: PLC0415 - loads DuckDB

        generated = generate(folder, settings.tpch_scale, log_progress(context.log.info, "orders"))
        return dg.MaterializeResult(
            metadata={
                "orders": dg.MetadataValue.int(generated.orders),
                "scale": dg.MetadataValue.float(generated.scale),
                "folder": dg.MetadataValue.path(folder),
            },
            data_version=dg.DataVersion(f"tpch {generated.scale}"),
        )

    return asset
