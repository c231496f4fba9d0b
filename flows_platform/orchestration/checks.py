"""The checks of each window, declared once and evaluated from one count of source, staged file and warehouse."""

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from flows_platform.orchestration.metadata.figures import counts_metadata
from flows_platform.orchestration.table import WindowedTable

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowCounts

type Verdict = Callable[["WindowCounts"], bool]


class WindowCheck(NamedTuple):
    """What a check says, when it holds, and what to do where it does not."""

    description: str
    holds: Verdict
    remedy: str


CHECKS = {
    "rows_agree": WindowCheck(
        "Rows at the API = rows in Parquet (and its quarantine) = rows in BigQuery.",
        lambda counts: counts.agree,
        "Materialise the window again: the source may have changed since. Where it differs still, `flows verify "
        "--rows` finds the place, and `flows history KEY` tells what happened to the window.",
    ),
    "events_in_window": WindowCheck(
        "Every record lies inside its window, and an event time that is derived is epoch + time.",
        lambda counts: counts.in_window,
        "Materialise the window again; where rows stay misplaced, something else writes to the table.",
    ),
    "keys_unique": WindowCheck(
        "No key comes twice in the window.",
        lambda counts: counts.unique,
        "Look up the keys in the table: they identify no row. The declaration's `key` must.",
    ),
}


def window_checks(table: WindowedTable) -> list[dg.AssetCheckSpec]:
    """The checks on the warehouse's table, one evaluation per window each."""
    with warnings.catch_warnings():
        # Partitioned checks warn that they may change in a patch release; dagster is pinned to one.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name, asset=table.table_key, description=check.description, partitions_def=table.partitions
            )
            for name, check in CHECKS.items()
        ]


# Which of the checks cannot hold while a window waits, and what is to be done about that.
WAITING = "rows_agree"
WAITING_REMEDY = (
    "Nothing, where schedule or sensor is on: they ask again from an hour after the first pull on, and publish the "
    "same answer. To publish it now, run the window with `confirm: true`, or with the tag `flows/confirm: true`."
)


def evaluations(table: WindowedTable, key: str, counts: "WindowCounts") -> Iterator[dg.AssetCheckEvaluation]:
    """Every check's outcome for the window `key`; a warning where the window waits for a confirmation."""
    for name, check in CHECKS.items():
        passed = check.holds(counts)
        waits = counts.withheld if name == WAITING and not passed else None
        figures = counts_metadata(counts)
        if waits:
            figures |= {"why": dg.MetadataValue.text(waits.story), "remedy": dg.MetadataValue.text(WAITING_REMEDY)}
        elif not passed:
            figures["remedy"] = dg.MetadataValue.text(check.remedy)
        yield dg.AssetCheckEvaluation(
            asset_key=table.table_key,
            check_name=name,
            passed=passed,
            partition=key,
            metadata=figures,
            severity=dg.AssetCheckSeverity.WARN if waits else dg.AssetCheckSeverity.ERROR,
            description=check.description,
        )
