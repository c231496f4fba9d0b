"""The data sets that are measured on: generated once a size, by the product's own commands, and kept."""

import contextlib
import gzip
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import child_environment, flows
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS

REJECTS = 100  # lines of other than nine fields at the raw file's end
TEXTS = {"src_comp", "src_port", "dst_comp", "dst_port"}
# The tutorial's table: the id is the key, and nothing is indexed by time.
TUTORIAL_TABLE = f"CREATE TABLE flows ({
    ', '.join(
        f'{name} {"TEXT" if name in TEXTS else "INTEGER"}{" PRIMARY KEY" if name == "id" else ""}'
        for name in FLOWS.names
    )
})"


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds `after < time <= before` and how many rows they have."""

    after: int
    before: int
    rows: int

    @property
    def query(self) -> str:
        """As the API takes it."""
        lower = f"scanned_after={self.after}&" if self.after >= 0 else ""
        return f"{lower}scanned_before={self.before}"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A home folder of the platform with `rows` rows over `days` days: raw.gz, clean file, database."""

    folder: Path
    rows: int
    days: int = 58

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.folder, days=self.days)

    @property
    def raw(self) -> Path:
        """Made with lines to reject at its end, as a gzip member of their own."""
        path = self.folder / "raw" / "flows.txt.gz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                made = temporary.with_suffix(".made.gz")
                _flows("generate", "--rows", self.rows, "--days", self.days, "--out", made)
                with made.open("ab") as file:
                    file.write(gzip.compress(b"1,2,C3\n" * REJECTS))
                made.replace(temporary)
        return path

    @property
    def clean(self) -> Path:
        path = self.settings.files.clean
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _flows(
                "clean", self.raw, "--out", path, "--allow-shrink"
            )  # small files have more than 1 % of lines to reject
        return path

    @property
    def database(self) -> Path:
        path = self.settings.files.database
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _flows("load", self.clean, "--database", path)
        return path

    @property
    def tutorial(self) -> Path:
        """The same rows in the tutorial's table."""
        path = self.folder / "database" / "tutorial.db"
        if not path.exists():
            with atomic_path(path) as temporary:
                subprocess.run(import_command(temporary, self.clean), check=True)  # noqa: S603 - the sqlite CLI
        return path

    def span(self, first: int, last: int) -> Span:
        """The seconds whose rows have about the ids `first < id <= last`."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            after = connection.execute("SELECT time FROM flows WHERE id = ?", (first,)).fetchone()
            before = connection.execute("SELECT time FROM flows WHERE id = ?", (last,)).fetchone()
            bounds = (after[0] if after else -1, before[0])
            count = connection.execute("SELECT count(*) FROM flows WHERE time > ? AND time <= ?", bounds).fetchone()
        return Span(*bounds, count[0])

    def ending(self, rows: int) -> Span:
        """About that many rows at the table's end."""
        return self.span(self.rows - rows, self.rows)

    @property
    def all(self) -> Span:
        return self.span(0, self.rows)


def import_command(database: Path, clean: Path) -> list[str]:
    """The tutorial's load."""
    return ["sqlite3", str(database), f"{TUTORIAL_TABLE};", f".import --csv {clean} flows"]


def _flows(*arguments: object) -> None:
    """Run a command of the product where its progress is seen."""
    subprocess.run(flows(*arguments), check=True, env=child_environment(), stdout=subprocess.DEVNULL)  # noqa: S603 - ours
