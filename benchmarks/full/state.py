"""How far the full run is, on disk after each step: what is done is not done again, and its figures are kept."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flows_platform.runtime.atomic_files import atomic_path


@dataclass(slots=True)
class Stage:
    """One stage over all its sessions; `own` are the CPU-seconds of our processes, `emulator` those of the emulator."""

    seconds: float = 0.0
    own: float = 0.0
    emulator: float = 0.0
    done: bool = False


@dataclass(frozen=True, slots=True)
class WindowCost:
    """What one window took: seconds of its fetch and of its publication, of which the emulator's jobs ran so long."""

    rows: int
    fetch: float
    publish: float
    jobs: float

    @property
    def own(self) -> float:
        """Seconds that were not the emulator's."""
        return self.fetch + self.publish - self.jobs


@dataclass(slots=True)
class State:
    """Everything that the report is made from. `peak` is the highest memory of the process tree, emulator aside."""

    folder: Path
    rows: int
    days: int
    wire: str
    facts: dict[str, object]
    load: list[float]
    peak: int = 0
    stages: dict[str, Stage] = field(default_factory=dict)
    windows: dict[str, WindowCost] = field(default_factory=dict)
    again: WindowCost | None = None

    def stage(self, name: str) -> Stage:
        return self.stages.setdefault(name, Stage())

    def save(self) -> None:
        with atomic_path(self.folder / "state.json") as part:
            part.write_text(json.dumps(asdict(self), default=str, indent=1))

    @classmethod
    def saved(cls, folder: Path) -> "State | None":
        """The state that was last saved there."""
        path = folder / "state.json"
        if not path.exists():
            return None
        told = json.loads(path.read_text())
        told["folder"] = folder
        told["stages"] = {name: Stage(**each) for name, each in told["stages"].items()}
        told["windows"] = {key: WindowCost(**each) for key, each in told["windows"].items()}
        told["again"] = WindowCost(**told["again"]) if told["again"] else None
        return cls(**told)
