"""The checks of each window, declared once and evaluated from one count of source, staged file and warehouse."""

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.windowed.declaration import WindowedTable
from flows_platform.windowed.metadata import counts_metadata

if TYPE_CHECKING:
    from flows_platform.pipeline import WindowCounts

type Verdict = Callable[["WindowCounts"], bool]

CHECKS: dict[str, tuple[str, Verdict]] = {
    "rows_agree": (
        "Rows at the API = rows in Parquet (and its quarantine) = rows in BigQuery.",
        lambda counts: counts.agree,
    ),
    "events_in_window": (
        "Every record lies inside its window, and an event time that is derived is epoch + time.",
        lambda counts: counts.in_window,
    ),
    "keys_unique": ("No key comes twice in the window.", lambda counts: counts.unique),
}


def window_checks(declaration: WindowedTable) -> list[dg.AssetCheckSpec]:
    """The checks on the warehouse's table, one evaluation per window each."""
    with warnings.catch_warnings():
        # Partitioned checks warn that they may change in a patch release; dagster is pinned to one.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name, asset=declaration.table_key, description=description, partitions_def=declaration.partitions
            )
            for name, (description, _) in CHECKS.items()
        ]


def evaluations(declaration: WindowedTable, key: str, counts: "WindowCounts") -> Iterator[dg.AssetCheckEvaluation]:
    """Every check's outcome for the window `key`."""
    for name, (description, verdict) in CHECKS.items():
        yield dg.AssetCheckEvaluation(
            asset_key=declaration.table_key,
            check_name=name,
            passed=verdict(counts),
            partition=key,
            metadata=counts_metadata(counts),
            description=description,
        )
