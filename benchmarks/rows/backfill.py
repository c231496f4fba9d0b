"""What Dagster and the start of processes cost a window: a backfill in one run, and a run for each window."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from benchmarks.contest import Contender, Goal, Quantity, Row, Trial
from benchmarks.data import DataSet
from benchmarks.environment import program
from benchmarks.platform_home import Home, home
from benchmarks.processes import run
from benchmarks.rows.files import scratch
from benchmarks.sizes import Sizes
from flows_platform.cli.commands.demo_report import window_reports
from flows_platform.cli.commands.instance import open_instance
from flows_platform.domain.errors import InputError
from flows_platform.sources.lanl_flows.windows import flows_windows

ROWS_A_WINDOW = 16  # next to nothing: what is left is overhead
A_DAY = 8
DATASET = "backfill"


@dataclass(slots=True)
class Runs:
    """Dagster runs over `keys`, each in a process of its own, one for every `size` keys."""

    home: Home
    keys: Sequence[str]
    size: int
    _last: list[str] = field(default_factory=list)

    def trial(self) -> Trial:
        """CPU is that of the runs' processes, from their start; API server and emulator are others."""
        variables = self.home.variables(DATASET)
        parts = [self.keys[start : start + self.size] for start in range(0, len(self.keys), self.size)]
        usages = [run(program("windows_run", part[0], part[-1]), settings=variables) for part in parts]
        with open_instance(self.home.settings(DATASET)) as instance:
            self._last = [each.run_id for each in instance.get_runs(limit=len(parts))]
        return Trial(
            rows=len(self.keys),
            seconds=sum(each.seconds for each in usages),
            cpu=sum(each.cpu for each in usages),
            rss=max(each.rss for each in usages),
        )

    def result(self) -> str:
        """Refuses runs that did not leave every window's own results and checks."""
        with open_instance(self.home.settings(DATASET)) as instance:
            reports = [report for run_id in self._last for report in window_reports(instance, run_id, self.keys)]
        verified = {report.key for report in reports if report.verified}
        if verified != set(self.keys):
            raise InputError(f"{len(verified)} of {len(self.keys)} windows were verified, each for itself.")
        return "every window verified"


@contextmanager
def backfill(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """Tiny windows, so that their work is not seen."""
    rows = sizes.windows * ROWS_A_WINDOW
    data = DataSet(sizes.work / "data" / f"{rows}-{sizes.windows}", rows, days=-(-sizes.windows // A_DAY))
    with scratch(sizes) as folder, home(data, folder) as opened:
        keys = flows_windows(opened.settings(DATASET)).partitions.get_partition_keys()[: sizes.windows]
        runs = {
            "a run a window": Runs(opened, keys[: sizes.single_runs], 1),
            "one run": Runs(opened, keys, len(keys)),
        }
        yield [Contender(name, each.trial, each.result) for name, each in runs.items()]


def backfill_all(sizes: Sizes) -> AbstractContextManager[Sequence[Contender]]:
    """The same of a whole data set's windows."""
    return backfill(replace(sizes, windows=sizes.all_windows))


ROWS = (
    Row(
        "backfill",
        (
            Goal("backfill of 64, CPU a window, start included", "one run", quantity=Quantity.CPU, at_most=0.3),
            Goal("backfill of 64, CPU of a run a window", "a run a window", "one run", quantity=Quantity.CPU),
        ),
        backfill,
    ),
    Row(
        "backfill-all",
        (
            Goal("backfill of 464, CPU a window, start included", "one run", quantity=Quantity.CPU, at_most=0.3),
            Goal("backfill of 464, seconds", "one run", quantity=Quantity.SECONDS),
            Goal("backfill of 464, CPU of a run a window", "a run a window", "one run", quantity=Quantity.CPU),
        ),
        backfill_all,
    ),
)
