"""Raw file to clean file, clean file to database."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.commands import command
from benchmarks.contest import Contender, Goal, Quantity, Row
from benchmarks.data import REJECTS, TUTORIAL_TABLE, DataSet, import_command
from benchmarks.environment import baseline, flows
from benchmarks.outputs import file_digest
from benchmarks.sizes import Sizes
from flows_platform.domain.errors import InputError


@contextmanager
def scratch(sizes: Sizes) -> Iterator[Path]:
    """A folder for what the trials write."""
    sizes.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=sizes.work) as folder:
        yield Path(folder)


def data_of(sizes: Sizes, rows: int | None = None) -> DataSet:
    """The data set of this size, or of so many rows."""
    rows = rows or sizes.rows
    return DataSet(sizes.work / "data" / str(rows), rows)


def clean(sizes: Sizes) -> AbstractContextManager[Sequence[Contender]]:
    """`flows clean`, the awk pipeline, and only inflating."""
    return cleaned(sizes, data_of(sizes))


def clean_large(sizes: Sizes) -> AbstractContextManager[Sequence[Contender]]:
    """The same on a file of four times the rows."""
    return cleaned(sizes, data_of(sizes, sizes.large))


@contextmanager
def cleaned(sizes: Sizes, data: DataSet) -> Iterator[Sequence[Contender]]:
    """The raw file of `data`, cleaned in every way."""
    raw = data.raw
    with scratch(sizes) as folder:
        ours, theirs, rejects = folder / "ours.csv", folder / "theirs.csv", folder / "rejects.csv"

        def kept_and_rejected() -> str:
            rejected = rejects.read_bytes().count(b"\n") - 1  # the header
            if rejected != REJECTS:
                raise InputError(f"{rejected} lines were rejected, {REJECTS} are in the raw file.")
            return file_digest(ours)

        yield [
            command(
                "awk", baseline("clean.sh", raw, theirs), data.rows, result=partial(file_digest, theirs), group="clean"
            ),
            command(
                "flows clean",
                flows("clean", raw, "--out", ours, "--rejects", rejects, "--allow-shrink"),
                data.rows,
                result=kept_and_rejected,
                group="clean",
            ),
            command("igzip to a file", baseline("inflate.py", raw, folder / "inflated"), data.rows),
        ]


def table_digest(database: Path) -> str:
    """The table's rows in the order of their ids."""
    with tempfile.NamedTemporaryFile() as listed:
        subprocess.run(  # noqa: S603 - the sqlite CLI
            ["sqlite3", "-csv", str(database), "SELECT * FROM flows ORDER BY id"],  # noqa: S607 - as above
            stdout=listed,
            check=True,
        )
        return file_digest(Path(listed.name))


@contextmanager
def load(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """`flows load`, the sqlite CLI's import, and a bulk insert that does nothing else."""
    data, source = data_of(sizes), data_of(sizes).clean
    with scratch(sizes) as folder:
        ours, theirs, bulk = (folder / f"{name}.db" for name in ("ours", "theirs", "bulk"))
        ways = {
            "sqlite3 .import": (import_command(theirs, source), theirs),
            "flows load": (flows("load", source, "--database", ours), ours),
            "ADBC insert": (baseline("adbc_insert.py", source, bulk, TUTORIAL_TABLE), bulk),
        }
        yield [
            command(name, argv, data.rows, result=partial(table_digest, made), replaces=made)
            for name, (argv, made) in ways.items()
        ]


def clean_goals(file: str) -> tuple[Goal, ...]:
    """The same goals, whatever the file's size."""
    return (
        Goal(f"clean {file}", "flows clean", "awk", at_least=2.5),
        Goal(f"clean {file}, of igzip to a file", "flows clean", "igzip to a file", at_least=0.45),
        Goal(f"clean {file}, memory", "flows clean", quantity=Quantity.RSS, at_most=100),
    )


ROWS = (
    Row("clean", clean_goals(".gz"), clean),
    Row("clean-large", clean_goals(".gz of four times the rows"), clean_large),
    Row(
        "load",
        (
            Goal("load, with the index on time", "flows load", "sqlite3 .import", at_least=1.5),
            Goal("load, of a bulk insert without index", "flows load", "ADBC insert"),
            Goal("load, memory", "flows load", quantity=Quantity.RSS, at_most=300),
        ),
        load,
    ),
)
