"""Prints the results of a run's windows, read from the run's events, as a table on standard output."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg
from rich.table import Table

from flows_platform.cli.commands.console import output_console
from flows_platform.orchestration.checks import CHECKS


@dataclass(slots=True)
class WindowResult:
    """One window: its counts at source, in the file and in BigQuery, its level of verification, its checks by name."""

    key: str
    figures: dict[str, object] = field(default_factory=dict)
    verification: str = ""
    checks: dict[str, bool] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        return self.checks.keys() == CHECKS.keys() and all(self.checks.values())


def window_results(instance: dg.DagsterInstance, run_id: str, keys: Sequence[str]) -> list[WindowResult]:
    """The windows `keys` as the run recorded them."""
    results = {key: WindowResult(key) for key in keys}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.asset_materialization
        if materialization and "verification" in materialization.metadata:
            result = results[str(materialization.partition)]
            result.verification = str(materialization.metadata["verification"].value)
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = entry.asset_check_evaluation
        if evaluation:
            result = results[str(evaluation.partition)]
            result.checks[evaluation.check_name] = evaluation.passed
            result.figures = {name: value.value for name, value in evaluation.metadata.items()}
    return list(results.values())


COLUMNS = {
    "API": "rows_at_source",
    "Parquet": "rows_staged",
    "rejected": "rows_rejected",
    "BigQuery": "rows_in_warehouse",
}


def print_results(results: Sequence[WindowResult]) -> None:
    """Print a line per window, and the sums."""
    table = Table(title="Windows", show_footer=True)
    table.add_column("window (UTC)", footer=f"{len(results)} windows")
    for title, name in COLUMNS.items():
        total = sum(int(str(result.figures.get(name, 0))) for result in results)
        table.add_column(title, footer=f"{total:,}", justify="right")
    table.add_column("verification")
    table.add_column("checks", footer=f"{sum(result.verified for result in results)} verified")
    for result in results:
        figures = [
            f"{value:,}" if isinstance(value := result.figures.get(name), int) else "?" for name in COLUMNS.values()
        ]
        table.add_row(result.key, *figures, result.verification, _checks(result))
    output_console().print(table)


def _checks(result: WindowResult) -> str:
    failed = [name for name in CHECKS if not result.checks.get(name)]
    return f"{len(CHECKS)} of {len(CHECKS)} passed" if not failed else f"FAILED: {', '.join(failed)}"
