"""How large a run of the benchmarks is. All sizes follow from the rows."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import WORK

FULL_ROWS = 3_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """`rows` of the data set, `repeats` of every trial, `windows` of the backfill; all files are in `work`.

    `quiet_seconds` is how long the machine is watched before a row, for what others do on it.
    """

    rows: int = FULL_ROWS
    repeats: int = 3
    windows: int = 64
    work: Path = WORK
    quiet_seconds: float = 2.0

    @property
    def window(self) -> int:
        """Rows of one large window: 300,000 of 3 million."""
        return max(1, self.rows // 10)

    @property
    def large(self) -> int:
        """Rows of a file whose cleaning takes much longer than its start: 12 million of 3 million."""
        return 4 * self.rows

    @property
    def reported(self) -> int:
        """Rows that reports are computed from: 30 million of 3 million. With fewer, each query's fixed costs count."""
        return 10 * self.rows

    @property
    def single_runs(self) -> int:
        """Runs of one window: 4, since one costs as much as the next."""
        return max(1, self.windows // 16)

    @property
    def all_windows(self) -> int:
        """Those of a whole data set: 464 of 64."""
        return self.windows * 29 // 4

    @property
    def datasette_window(self) -> int:
        """Fewer: Datasette pages through a window in time that grows with its square."""
        return max(1, self.rows // 30)
