"""A platform under `flows dev` with a small generated data set, for tests that use Dagster's UI or what it asks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows_platform.settings import Files
from tests.end_to_end.dev_process import READY, lines_until, own_environment, running_dev
from tests.ui.dagster_api import DagsterApi

GROUP = "lanl_flows"
WINDOWED = ("flow_windows", "flows", "flow_traffic_hourly")
BAD = "2014-01-01-06:00"


@dataclass(frozen=True)
class RunningPlatform:
    """Its settings and files, the address of its UI with the key, and what its webserver answers."""

    environment: Mapping[str, str]
    files: Files
    ui: str
    dagster: DagsterApi

    @contextmanager
    def obstacle(self) -> Iterator[None]:
        """A folder where the file of the window `BAD` should be: while it is there, that window alone fails."""
        staged = self.files.windows / "flows" / "2014-01-01-0600.parquet"
        staged.unlink(missing_ok=True)
        staged.mkdir(parents=True)
        try:
            yield
        finally:
            staged.rmdir()


@contextmanager
def running_platform(home: Path, *, rows: int, days: int, **settings: object) -> Iterator[RunningPlatform]:
    """The platform once it says that it is ready; it ends with the block."""
    environment = own_environment(home, FLOWS_SAMPLE_ROWS=rows, FLOWS_DAYS=days, **settings)
    with running_dev(environment) as process:
        lines = lines_until(process, READY)
        assert lines[-1:] == [READY], lines
        (address,) = (line.split()[-1] for line in lines if line.startswith("Dagster UI"))
        yield RunningPlatform(environment, Files(home), address, DagsterApi(environment))
