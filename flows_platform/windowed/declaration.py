"""What a source says of its windowed table; everything in this package is made from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import WindowGrid
from flows_platform.resources import ApiResource, WarehouseResource

if TYPE_CHECKING:
    from flows_platform.pipeline import WindowPipeline


@dataclass(frozen=True, slots=True)
class WindowedTable:
    """A table filled window by window: its assets' names, their place in the graph, and how they are run.

    `staged` names the asset of Parquet files and `table.name` the warehouse's; `upstream` is what the API serves from.
    `folder` holds the staged files; `dataset` is the table's, with its project, as people read it.
    """

    staged: str
    table: WarehouseTable
    upstream: tuple[str, ...]
    group: str
    owner: str
    grid: WindowGrid
    partitions: dg.TimeWindowPartitionsDefinition
    folder: Path
    dataset: str
    windows_per_run: int

    @property
    def staged_key(self) -> dg.AssetKey:
        return dg.AssetKey(self.staged)

    @property
    def table_key(self) -> dg.AssetKey:
        return dg.AssetKey(self.table.name)

    @contextmanager
    def pipeline(self, api: ApiResource, warehouse: WarehouseResource) -> Iterator["WindowPipeline"]:
        """The windows' pipeline for the length of a run."""
        # Imported here: the clients of BigQuery take seconds that loading the definitions must not.
        from flows_platform.pipeline import WindowPipeline  # noqa: PLC0415

        with api.client() as client, warehouse.warehouse() as opened:
            yield WindowPipeline(
                api=api.declaration(self.table.schema),
                client=client,
                table=self.table,
                warehouse=opened,
                folder=self.folder,
                tries=api.tries,
                max_rejected=api.max_rejected,
                max_rejected_share=api.max_rejected_share,
            )
