"""Metadata of tables and windows, rendered from schemas and results."""

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.orchestration.metadata.cloud_links import CloudConsole
from flows_platform.orchestration.metadata.first_rows import ROWS, TYPE_NAMES, rows_shown

if TYPE_CHECKING:
    from flows_platform.columns.batches import Time
    from flows_platform.pipeline.fetch_window import FetchedWindow
    from flows_platform.pipeline.reprocess import Reprocessed
    from flows_platform.pipeline.window_pipeline import WindowCounts
    from flows_platform.warehouse.replace_window import Published

# The figures whose sum is the number of records that the source sent.
RECEIVED = ("rows", "rejected", "deduplicated")

QUARANTINE_COLUMNS = (
    Column("position", ColumnType.INT64, "Its position in the answer, from 1."),
    Column("reason", ColumnType.STRING, "What is wrong with it."),
    Column("raw", ColumnType.STRING, "The record as it came, secrets masked."),
)

type Metadata = dict[str, dg.MetadataValue]


def column_schema(columns: tuple[Column, ...], tags: dict[str, dict[str, str]] | None = None) -> dg.TableSchema:
    """Columns as Dagster's table schema."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=TYPE_NAMES[column.type],
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
                tags=(tags or {}).get(column.name, {}),
            )
            for column in columns
        ]
    )


def same_columns(schema: TableSchema, upstream: str) -> dict[str, list[dg.TableColumnDep]]:
    """Lineage of columns that come from the column of the same name in `upstream`."""
    return {name: [dg.TableColumnDep(asset_key=dg.AssetKey(upstream), column_name=name)] for name in schema.names}


def lineage(columns: dict[str, list[dg.TableColumnDep]]) -> dict[str, dg.TableColumnLineage]:
    """Column lineage as an asset's metadata."""
    return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=columns)}


def file_metadata(schema: TableSchema, fetched: "FetchedWindow") -> Metadata:
    """A fetched window's figures; Dagster plots the numbers."""
    file, answers = fetched.file, fetched.answers
    first, last = (_instant(schema, time) for time in (file.first_time, file.last_time))
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(file.rows),
        "rows": dg.MetadataValue.int(file.rows),
        "rejected": dg.MetadataValue.int(file.rejected),
        "deduplicated": dg.MetadataValue.int(file.deduplicated),
        "received_bytes": dg.MetadataValue.int(answers.received_bytes),
        "file_bytes": dg.MetadataValue.int(file.location.stat().st_size),
        "seconds": dg.MetadataValue.float(round(fetched.seconds, 3)),
        "rows_per_second": dg.MetadataValue.int(round(file.received / fetched.seconds)),
        "tries": dg.MetadataValue.int(fetched.tries),
        **({"pulls": dg.MetadataValue.int(answers.pulls)} if answers.pulls else {}),
        "first_event": dg.MetadataValue.text(first),
        "last_event": dg.MetadataValue.text(last),
        "verification": dg.MetadataValue.text(f"{answers.level.label} {answers.level_reason}".strip()),
        "request": dg.MetadataValue.text(f"curl --fail '{fetched.url}'"),
        "request_url": dg.MetadataValue.url(fetched.url),
        "file": dg.MetadataValue.path(file.location),
        **(quarantined(file.quarantine) if file.quarantine else {}),
    }


def quarantined(file: Path) -> Metadata:
    """The path of the rejected records, and the first ones."""
    from flows_platform.window_files.quarantine import read_quarantine  # noqa: PLC0415 - as below

    first = [
        {"position": reject.position, "reason": reject.reason, "raw": reject.raw.decode(errors="replace")}
        for reject in islice(read_quarantine(file), ROWS)
    ]
    return {"quarantine": dg.MetadataValue.path(file), "first_rejected": rows_shown(QUARANTINE_COLUMNS, first)}


def reprocessed_metadata(reprocessed: "Reprocessed") -> Metadata:
    """A reprocessed window's figures."""
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(reprocessed.rows),
        "rows": dg.MetadataValue.int(reprocessed.rows),
        "rejected": dg.MetadataValue.int(reprocessed.rejected),
        "deduplicated": dg.MetadataValue.int(reprocessed.deduplicated),
        "recovered": dg.MetadataValue.int(reprocessed.recovered),
        "file": dg.MetadataValue.path(reprocessed.location),
        **(quarantined(reprocessed.quarantine) if reprocessed.quarantine else {}),
    }


def _instant(schema: TableSchema, time: "Time | None") -> str:
    # Imported here: pyarrow takes a tenth of a second, too long for loading the definitions.
    from flows_platform.columns.batches import instant_of  # noqa: PLC0415

    return "none" if time is None else f"{instant_of(schema, time):%Y-%m-%dT%H:%M:%SZ}"


def published_metadata(
    published: "Published", started: datetime, ended: datetime, console: CloudConsole | None = None
) -> Metadata:
    """A replaced window's figures; its jobs are links if there is a cloud console."""

    def job(job_id: str) -> dg.MetadataValue:
        return dg.MetadataValue.url(console.job(job_id)) if console else dg.MetadataValue.text(job_id)

    return {
        "dagster/partition_row_count": dg.MetadataValue.int(published.inserted),
        "rows": dg.MetadataValue.int(published.inserted),
        "rows_replaced": dg.MetadataValue.int(published.deleted),
        "seconds": dg.MetadataValue.float(round((ended - started).total_seconds(), 3)),
        **({"load_job": job(published.load_job)} if published.load_job else {}),
        "merge_job": job(published.merge_job),
    }


def counts_metadata(counts: "WindowCounts") -> Metadata:
    """A verified window's figures."""
    return {
        **({} if counts.source is None else {"rows_at_source": dg.MetadataValue.int(counts.source)}),
        "rows_staged": dg.MetadataValue.int(counts.file_rows),
        "rows_rejected": dg.MetadataValue.int(counts.rejected),
        "rows_deduplicated": dg.MetadataValue.int(counts.deduplicated),
        "rows_in_warehouse": dg.MetadataValue.int(counts.warehouse.rows),
        "distinct_keys": dg.MetadataValue.int(counts.warehouse.distinct_keys),
        "misplaced_rows": dg.MetadataValue.int(counts.warehouse.misplaced),
    }
