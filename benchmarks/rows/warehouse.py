"""One large window from the API into the warehouse's table, beside the tutorial's client."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from benchmarks.contest import Contender, Goal, Row, Trial
from benchmarks.data import DataSet, Span
from benchmarks.environment import baseline, program
from benchmarks.platform_home import Home, home
from benchmarks.processes import run
from benchmarks.rows.files import scratch
from benchmarks.serving import STREAM
from benchmarks.sizes import Sizes
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows

WINDOW_SECONDS = 3 * 3600
WINDOWS = 8  # of one day


@dataclass(slots=True)
class IntoFreshDatasets:
    """A client that loads a window, every time into a new dataset; the last one stays for the comparison."""

    home: Home
    name: str
    rows: int
    argv: Callable[[str], Sequence[str]]
    settings: Mapping[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _dataset: str = ""

    def trial(self) -> Trial:
        if self._dataset:
            self.home.drop(self._dataset)
        self._dataset = f"{self.name}_{next(self._numbers)}"
        settings = {**self.home.variables(self._dataset), **self.settings}
        usage = run(self.argv(self._dataset), settings=settings)
        return Trial(self.rows, usage.seconds, usage.cpu, usage.rss)

    def result(self) -> str:
        return self.home.table_digest(self._dataset)


def busiest(data: DataSet) -> tuple[str, Span]:
    """The key and the seconds of the window with the most rows."""
    sql = f"SELECT time / {WINDOW_SECONDS} AS slot, count(*) AS n FROM flows GROUP BY slot ORDER BY n DESC LIMIT 1"
    with contextlib.closing(sqlite3.connect(data.database)) as connection:
        slot, rows = connection.execute(sql).fetchone()
    key = flows_windows(data.settings).grid.floor(FLOWS.epoch + timedelta(seconds=slot * WINDOW_SECONDS)).key
    return key, Span(slot * WINDOW_SECONDS - 1, (slot + 1) * WINDOW_SECONDS - 1, rows)


@contextmanager
def window(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The busiest window of a day."""
    rows = sizes.window * WINDOWS
    data = DataSet(sizes.work / "data" / f"{rows}-1", rows, days=1)
    key, span = busiest(data)
    with scratch(sizes) as folder, home(data, folder) as opened:
        url = f"{opened.api.url}{STREAM}?{span.query}&format=json"

        def tutorial(dataset: str) -> Sequence[str]:
            return baseline("batches_of_1000.py", url, opened.emulator.url, opened.emulator.key_file, dataset)

        def ours(wire: str) -> IntoFreshDatasets:
            argv, settings = program("one_window", key), {"FLOWS_API_FORMAT": wire}
            return IntoFreshDatasets(opened, f"ours_{wire}", span.rows, lambda _: argv, settings)

        usual = IntoFreshDatasets(opened, "tutorial", span.rows, tutorial)
        clients = [usual, ours("json"), ours("arrow")]
        yield [Contender(client.name, client.trial, client.result) for client in clients]


ROWS = (
    Row(
        "window",
        (
            Goal("one window, API to warehouse", "ours_json", "tutorial", at_least=10),
            Goal("one window, API to warehouse, Arrow", "ours_arrow", "tutorial", at_least=10),
        ),
        window,
    ),
)
