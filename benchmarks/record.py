"""Raw timings on disk: one JSON file a row, rewritten after every round, so that a stopped run resumes where it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.contest import Trial, Trials
from benchmarks.sizes import Sizes
from flows_platform.runtime.atomic_files import atomic_path


@dataclass(slots=True)
class Record:
    """What is known of one row: its trials, and what the machine was like when it began."""

    name: str
    rows: int
    facts: Mapping[str, object]
    load: list[float]
    busy: float
    trials: Trials = field(default_factory=dict)

    def save(self, work: Path) -> None:
        with atomic_path(path_of(work, self.name)) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1))


def path_of(work: Path, name: str) -> Path:
    """The path of a row's timings."""
    return work / "raw" / f"{name}.json"


def saved(work: Path, name: str) -> Record | None:
    """A row's record as it was last saved."""
    path = path_of(work, name)
    if not path.exists():
        return None
    saved = json.loads(path.read_text())
    trials = {contender: [Trial(**trial) for trial in made] for contender, made in saved.pop("trials").items()}
    return Record(**saved, trials=trials)


def begun(sizes: Sizes, name: str, *, again: bool) -> Record:
    """The row's record to go on with: the saved one if it is of the same product, machine and size, else a new one."""
    before = saved(sizes.work, name)
    facts = machine.facts()
    if before and not again and (before.rows, dict(before.facts)) == (sizes.rows, facts):
        return before
    return Record(name, sizes.rows, facts, machine.load_average(), machine.busy_share(sizes.quiet_seconds))
