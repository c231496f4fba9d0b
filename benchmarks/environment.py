"""Where things are: the two Python environments, the folder of data and timings, the commands to run."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
WORK = FOLDER / ".work"
RESULTS = FOLDER / "RESULTS.md"
# The others' packages, in an environment of their own so that the project's own lock stays without them.
OTHERS_ENVIRONMENT = FOLDER / ".venv"
OTHERS = OTHERS_ENVIRONMENT / "bin" / "python"
# Without these dlt calls home, and asks its host for its newest version.
QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


def child_environment(settings: Mapping[str, str] = {}) -> dict[str, str]:
    """This process's environment without its own FLOWS_ settings, with `settings`, and the project importable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLOWS_")}
    return {**inherited, **QUIET, "PYTHONPATH": str(ROOT), **settings}


def flows(*arguments: object) -> list[str]:
    """A command of the product."""
    return [sys.executable, "-m", "flows_platform", *map(str, arguments)]


def program(name: str, *arguments: object) -> list[str]:
    """A program of `benchmarks.programs`, under the project's environment."""
    return [sys.executable, str(FOLDER / "programs" / f"{name}.py"), *map(str, arguments)]


def baseline(name: str, *arguments: object, python: Path | str = sys.executable) -> list[str]:
    """A program of `benchmarks.baselines`; in shell where it is so written."""
    path = FOLDER / "baselines" / name
    return [*(["sh"] if path.suffix == ".sh" else [str(python)]), str(path), *map(str, arguments)]


def others_installed() -> bool:
    """Whether `make bench` has made the others' environment."""
    return OTHERS.exists()
