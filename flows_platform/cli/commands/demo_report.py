"""Prints the results of a run's windows, read from the run's events, as a table on standard output."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg
from rich.console import Console
from rich.table import Table

from flows_platform.orchestration.checks import CHECKS

WIDTH = 120  # columns, if the output is not a terminal


@dataclass(slots=True)
class WindowReport:
    """One window: its counts at source, in the file and in BigQuery, its level of verification, its checks by name."""

    key: str
    figures: dict[str, object] = field(default_factory=dict)
    verification: str = ""
    checks: dict[str, bool] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        return self.checks.keys() == CHECKS.keys() and all(self.checks.values())


def window_reports(instance: dg.DagsterInstance, run_id: str, keys: Sequence[str]) -> list[WindowReport]:
    """The windows `keys` as the run recorded them."""
    reports = {key: WindowReport(key) for key in keys}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.asset_materialization
        if materialization and "verification" in materialization.metadata:
            report = reports[str(materialization.partition)]
            report.verification = str(materialization.metadata["verification"].value)
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = entry.asset_check_evaluation
        if evaluation:
            report = reports[str(evaluation.partition)]
            report.checks[evaluation.check_name] = evaluation.passed
            report.figures = {name: value.value for name, value in evaluation.metadata.items()}
    return list(reports.values())


COLUMNS = {
    "API": "rows_at_source",
    "Parquet": "rows_staged",
    "rejected": "rows_rejected",
    "BigQuery": "rows_in_warehouse",
}


def print_report(reports: Sequence[WindowReport]) -> None:
    """Print a line per window, and the sums."""
    table = Table(title="Windows", show_footer=True)
    table.add_column("window (UTC)", footer=f"{len(reports)} windows")
    for title, name in COLUMNS.items():
        total = sum(int(str(report.figures.get(name, 0))) for report in reports)
        table.add_column(title, footer=f"{total:,}", justify="right")
    table.add_column("verification")
    table.add_column("checks", footer=f"{sum(report.verified for report in reports)} verified")
    for report in reports:
        figures = [
            f"{value:,}" if isinstance(value := report.figures.get(name), int) else "?" for name in COLUMNS.values()
        ]
        table.add_row(report.key, *figures, report.verification, _checks(report))
    output_console().print(table)


def output_console() -> Console:
    """Where results are printed: standard output, of a fixed width where it is not a terminal."""
    output = Console(highlight=False)
    return output if output.is_terminal else Console(highlight=False, width=WIDTH)


def _checks(report: WindowReport) -> str:
    failed = [name for name in CHECKS if not report.checks.get(name)]
    return f"{len(CHECKS)} of {len(CHECKS)} passed" if not failed else f"FAILED: {', '.join(failed)}"
