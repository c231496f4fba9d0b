"""The checks of every window, evaluated from one count of source, window file and warehouse."""

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
    """A check: what it claims, whether that holds, and what to do if it does not."""

    description: str
    holds: Verdict
    remedy: str


CHECKS = {
    "rows_agree": WindowCheck(
        "Rows at the API = rows in Parquet (and its quarantine) = rows in BigQuery.",
        lambda counts: counts.agree,
        "Materialise the window again: the source may have changed since. If it still differs, `flows verify --rows` "
        "finds the differing rows, and `flows history KEY` shows what happened to the window.",
    ),
    "events_in_window": WindowCheck(
        "Every record is inside its window, and a derived event time is epoch + time.",
        lambda counts: counts.in_window,
        "Materialise the window again; if rows stay misplaced, something else writes to the table.",
    ),
    "keys_unique": WindowCheck(
        "Every key is unique in the window.",
        lambda counts: counts.unique,
        "Look up the repeated keys in the table: the declaration's `key` must identify one row.",
    ),
}


def window_checks(table: WindowedTable) -> list[dg.AssetCheckSpec]:
    """The checks on the table in BigQuery; every window has its own evaluation."""
    with warnings.catch_warnings():
        # Dagster warns that partitioned checks may change in a patch release; its version is pinned.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name, asset=table.table_key, description=check.description, partitions_def=table.partitions
            )
            for name, check in CHECKS.items()
        ]


# The check that fails while a window waits for a confirmation, and its remedy then.
WAITING = "rows_agree"
WAITING_REMEDY = (
    "Nothing, if the schedule or the sensor is on: from an hour after the first fetch they fetch the window again, and "
    "publish it if the answer is the same. To publish now, run the window with `confirm: true` or the tag "
    "`flows/confirm: true`."
)


def evaluations(table: WindowedTable, key: str, counts: "WindowCounts") -> Iterator[dg.AssetCheckEvaluation]:
    """Every check's outcome for the window `key`; only a warning if the window waits for a confirmation."""
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
