"""The metadata that Dagster shows for the assets before the windows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from flows_platform.orchestration.metadata.figures import column_schema, lineage, same_columns
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.schema import FLOWS, RAW_FIELDS

if TYPE_CHECKING:
    from flows_platform.flow_database.load import LoadResult
    from flows_platform.sources.lanl_flows.cleaning import CleanResult
    from flows_platform.sources.lanl_flows.raw import RawFile
    from flows_platform.sources.lanl_flows.rejected import RejectedCounts

LINES_READ = "lines_read"

_columns = column_schema(FLOWS.columns)
_from_raw = {name: [dg.TableColumnDep(dg.AssetKey("raw_flows"), name)] for name in RAW_FIELDS}

RAW_COLUMNS: dict[str, Any] = {"dagster/column_schema": column_schema(tuple(FLOWS.column(name) for name in RAW_FIELDS))}
CLEAN_COLUMNS: dict[str, Any] = {"dagster/column_schema": _columns, **lineage(_from_raw)}
DATABASE_COLUMNS: dict[str, Any] = {
    "dagster/column_schema": _columns,
    **lineage(same_columns(FLOWS, "clean_flows")),
}
API_COLUMNS: dict[str, Any] = {
    "dagster/column_schema": _columns,
    **lineage(same_columns(FLOWS, "flows_database")),
}
REJECTED_COLUMNS: dict[str, Any] = {
    "dagster/column_schema": dg.TableSchema(
        columns=[
            dg.TableColumn("stage", "STRING", description="clean or load: the step that rejected the line."),
            dg.TableColumn("line", "INT64", description="Its line number, in the raw file or in the clean file."),
            dg.TableColumn("reason", "STRING", description="What is wrong with it."),
            dg.TableColumn("raw", "BYTES", description="The line as it was."),
        ]
    )
}


def raw(file: "RawFile") -> dict[str, Any]:
    """Size, digest and first rows of the raw file."""
    return {
        "size_bytes": dg.MetadataValue.int(file.size),
        "sha256": dg.MetadataValue.text(file.sha256),
        "dagster/uri": str(file.path),
        "generated": dg.MetadataValue.bool(file.generated),
        "first_rows": dg.MetadataValue.md("```\n" + "\n".join(file.first_rows) + "\n```"),
    }


def api_links(settings: Settings) -> dict[str, dg.MetadataValue]:
    """Where windows are fetched from, and the pages on which our own server describes itself."""
    links = {"url": settings.stream_url}
    if not settings.api_url:
        links |= {
            "parameters": f"{settings.api_base}/",
            "health": f"{settings.api_base}/healthz",
            "newest": f"{settings.api_base}/api/v1/flows/latest",
            "openapi": f"{settings.api_base}/openapi.json",
        }
    return {name: dg.MetadataValue.url(url) for name, url in links.items()}


def clean(result: "CleanResult", path: Path) -> dict[str, Any]:
    """Lines read, kept and rejected."""
    return {
        "dagster/row_count": dg.MetadataValue.int(result.kept),
        LINES_READ: dg.MetadataValue.int(result.read),
        "lines_rejected": dg.MetadataValue.int(result.rejected),
        "byte_order_mark": dg.MetadataValue.bool(result.byte_order_mark),
        "header_line": dg.MetadataValue.bool(result.header),
        "size_bytes": dg.MetadataValue.int(result.clean_bytes),
        "dagster/uri": str(path),
    }


def database(result: "LoadResult", path: Path) -> dict[str, Any]:
    """Rows, rejected rows and the range of times in the database."""
    return {
        "dagster/row_count": dg.MetadataValue.int(result.loaded),
        "rows_rejected": dg.MetadataValue.int(result.rejected),
        "first_time": dg.MetadataValue.text(str(result.first_time)),
        "last_time": dg.MetadataValue.text(str(result.last_time)),
        "size_bytes": dg.MetadataValue.int(result.database_bytes),
        "dagster/uri": str(path),
    }


def rejected(counts: "RejectedCounts", path: Path) -> dict[str, Any]:
    """Rejected lines by stage."""
    return {
        "dagster/row_count": dg.MetadataValue.int(counts.total),
        "at_cleaning": dg.MetadataValue.int(counts.at_cleaning),
        "at_load": dg.MetadataValue.int(counts.at_load),
        "dagster/uri": str(path),
    }


def lines_read(instance: dg.DagsterInstance) -> int | None:
    """How many lines the last cleaning read, by its materialization."""
    event = instance.get_latest_materialization_event(dg.AssetKey("clean_flows"))
    materialization = event.asset_materialization if event else None
    value = materialization.metadata[LINES_READ].value if materialization else None
    return value if isinstance(value, int) else None
