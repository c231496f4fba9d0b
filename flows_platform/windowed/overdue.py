"""Closed windows that are not in the table: a check that names them. Freshness by windows, where a policy knows assets.

A backfill of an old window makes the asset fresh; it does not make this check pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from flows_platform.domain.windows import Window
from flows_platform.windowed.declaration import WindowedTable
from flows_platform.windowed.runs import WindowRuns

NAME = "closed_windows_are_loaded"
LEAST_PATIENCE = timedelta(minutes=1)  # a run takes seconds, however fast a replay is


def patience(declaration: WindowedTable) -> timedelta:
    """How long a closed window may take to be loaded, on the wall's clock: the grace once more."""
    return max(LEAST_PATIENCE, declaration.wall_time(declaration.calendar.grace))


@dataclass(frozen=True, slots=True)
class Overdue:
    """The newest window that should be loaded, if any, and those of the look-back up to it that are not."""

    newest: Window | None
    missing: tuple[str, ...]

    @classmethod
    def at(cls, declaration: WindowedTable, instance: dg.DagsterInstance, wall: datetime) -> "Overdue":
        """What is overdue at `wall`."""
        newest = declaration.calendar.last_closed(declaration.instant(wall - patience(declaration)))
        if newest is None:
            return cls(None, ())
        loaded = WindowRuns(declaration, instance).loaded()
        recent = declaration.calendar.back_from(newest, declaration.look_back)
        return cls(newest, tuple(window.key for window in recent if window.key not in loaded))

    @property
    def metadata(self) -> dict[str, dg.MetadataValue]:
        return {
            "newest_closed": dg.MetadataValue.text(self.newest.key if self.newest else "none"),
            "overdue": dg.MetadataValue.int(len(self.missing)),
            "windows": dg.MetadataValue.text(", ".join(self.missing) or "none"),
        }


def overdue_check(declaration: WindowedTable, now: Callable[[], datetime]) -> dg.AssetChecksDefinition:
    """The check, for who runs it by hand; the sensor of new windows reports it as it changes."""

    @dg.asset_check(
        asset=declaration.table_key,
        name=NAME,
        description="The newest closed windows, as many as are looked back at, are in the table. The sensor of new "
        "windows reports it with each look, also while the API is down.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        overdue = Overdue.at(declaration, context.instance, now())
        return dg.AssetCheckResult(
            passed=not overdue.missing, severity=dg.AssetCheckSeverity.WARN, metadata=overdue.metadata
        )

    return check


def report_overdue(declaration: WindowedTable, instance: dg.DagsterInstance, wall: datetime) -> None:
    """Record the check's outcome, unless the last one recorded names the same windows."""
    overdue = Overdue.at(declaration, instance, wall)
    last = _last(declaration, instance)
    if overdue.newest is None or last == overdue.metadata["windows"].value:
        return
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=declaration.table_key,
            check_name=NAME,
            passed=not overdue.missing,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=overdue.metadata,
        )
    )


def _last(declaration: WindowedTable, instance: dg.DagsterInstance) -> object:
    """The windows that the last outcome named; None where there is none, or where a run has planned another."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(declaration.table_key, NAME))
    evaluation = record.evaluation if record else None
    return evaluation.metadata["windows"].value if isinstance(evaluation, dg.AssetCheckEvaluation) else None
