"""The overhead of Dagster and of starting processes for a window: a backfill in one run, and a run a window."""

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
from flows_platform.cli.commands.instance import open_instance
from flows_platform.cli.commands.window_results import window_results
from flows_platform.domain.errors import InputError
from flows_platform.sources.lanl_flows.windows import flows_windows

ROWS_A_WINDOW = 16  # almost no rows: what remains is overhead
A_DAY = 8
DATASET = "backfill"


@dataclass(slots=True)
class Runs:
    """Dagster runs over `keys`, one for every `size` keys, in processes of their own."""

    home: Home
    keys: Sequence[str]
    size: int
    _last: list[str] = field(default_factory=list)

    def trial(self) -> Trial:
        """CPU is that of the runs' processes, from their start; API server and emulator are others."""
        variables = self.home.variables(DATASET)
        runs = [self.keys[start : start + self.size] for start in range(0, len(self.keys), self.size)]
        usages = [run(program("windows_run", keys[0], keys[-1]), settings=variables) for keys in runs]
        with open_instance(self.home.settings(DATASET)) as instance:
            self._last = [made.run_id for made in instance.get_runs(limit=len(runs))]
        return Trial(
            rows=len(self.keys),
            seconds=sum(usage.seconds for usage in usages),
            cpu=sum(usage.cpu for usage in usages),
            rss=max(usage.rss for usage in usages),
        )

    def result(self) -> str:
        """Refuses runs that did not leave every window's own results and checks."""
        with open_instance(self.home.settings(DATASET)) as instance:
            results = [result for run_id in self._last for result in window_results(instance, run_id, self.keys)]
        verified = {result.key for result in results if result.verified}
        if verified != set(self.keys):
            raise InputError(f"{len(verified)} of {len(self.keys)} windows have results and checks of their own.")
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
        yield [Contender(name, runs_of.trial, runs_of.result) for name, runs_of in runs.items()]


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
