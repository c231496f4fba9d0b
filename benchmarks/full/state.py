"""How far the full run is, on disk after every step: what is done is not done again, and its figures are kept."""

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
    """The cost of a window: seconds of its fetch, of its publication and, within that, of the emulator's jobs."""

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
    """Everything that the report is made from. `peak`: memory of the process tree without the emulator."""

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
        with atomic_path(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), default=str, indent=1))

    @classmethod
    def saved(cls, folder: Path) -> "State | None":
        """The state that was last saved there."""
        path = folder / "state.json"
        if not path.exists():
            return None
        saved = json.loads(path.read_text())
        saved["folder"] = folder
        saved["stages"] = {name: Stage(**stage) for name, stage in saved["stages"].items()}
        saved["windows"] = {key: WindowCost(**cost) for key, cost in saved["windows"].items()}
        saved["again"] = WindowCost(**saved["again"]) if saved["again"] else None
        return cls(**saved)
