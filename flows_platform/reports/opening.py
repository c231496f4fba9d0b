"""Runs reports by what is opened with the first of them: a warehouse's client takes a second and 60 MB to load."""

from collections.abc import Callable, Mapping
from threading import Lock

from flows_platform.reports.answers import Rows, Runs
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import Value


class OpenedWhenAsked:
    """What `opened` gives, which is asked for once; where it fails, with the next report again."""

    def __init__(self, opened: Callable[[], Runs]) -> None:
        self._open = opened
        self._runs: Runs | None = None
        self._lock = Lock()

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "") -> Rows:
        """As `Runs.run`; also raises what opening raises."""
        with self._lock:
            self._runs = self._runs or self._open()
        return self._runs.run(report, values, label)

    def cancel(self, label: str) -> bool:
        """As `Runs.cancel`; nothing runs before it is opened."""
        return self._runs is not None and self._runs.cancel(label)
