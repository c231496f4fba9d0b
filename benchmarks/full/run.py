"""The stages of the full run, in order. A stage does only what is not done yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks import serving
from benchmarks.environment import flows, program
from benchmarks.full.state import State
from benchmarks.full.watch import stage
from benchmarks.full.windows import cost, pending
from benchmarks.processes import run
from benchmarks.serving import STREAM
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.instance import fail_abandoned_runs, open_instance
from flows_platform.local.emulator import Emulator
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows

STAGES = ("generate", "clean", "load", "fetch", "publish", "first again", "verify")


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform that takes the windows; `emulator` is the emulator's process."""

    settings: Settings
    emulator: int

    @property
    def variables(self) -> dict[str, str]:
        """The settings for child processes."""
        given = self.settings.model_dump(exclude_unset=True)
        return {f"FLOWS_{name.upper()}": str(value) for name, value in given.items()}


def run_all(state: State) -> None:
    """All stages.

    Raises:
        PlatformError: one failed; started again, the run goes on with it.
    """
    files = load_settings(home=state.folder).files
    raw = state.folder / "raw" / "flows.txt.gz"
    for target in (raw, files.clean, files.database):
        target.parent.mkdir(parents=True, exist_ok=True)
    _command(state, "generate", flows("generate", "--rows", state.rows, "--days", state.days, "--out", raw))
    _command(state, "clean", flows("clean", raw, "--out", files.clean))
    _command(state, "load", flows("load", files.clean, "--database", files.database))
    with _platform(state) as platform, open_instance(platform.settings) as instance:
        fail_abandoned_runs(instance)
        declaration = flows_windows(platform.settings)
        _windows(state, platform, instance, "fetch", declaration.files_key)
        _windows(state, platform, instance, "publish", declaration.table_key)
        _once(state, "first again", platform.emulator, lambda: _first_again(state, platform, instance))
        verify = flows("verify")
        _once(state, "verify", platform.emulator, lambda: run(verify, settings=platform.variables, seen=True) and None)


def _command(state: State, name: str, argv: list[str]) -> None:
    _once(state, name, 0, lambda: run(argv, seen=True) and None)


def _once(state: State, name: str, emulator: int, work: Callable[[], object]) -> None:
    """Do the stage unless it is done."""
    if state.stage(name).done:
        return
    console.print(f"{name} …")
    with stage(state, name, emulator):
        work()
    state.stage(name).done = True
    state.save()
    console.print(f"{name}: {state.stage(name).seconds / 60:.1f} min")


@contextmanager
def _platform(state: State) -> Iterator[Platform]:
    home = load_settings(home=state.folder).files
    emulator = Emulator.at(home.emulator, log=home.logs / "emulator.log")
    with serving.api(home.database, home.logs) as api, Supervisor() as supervisor:
        (running,) = supervisor.start(emulator.child())
        settings = load_settings(
            home=state.folder,
            days=state.days,
            api_url=api.url + STREAM,
            api_format=state.wire,
            emulator_port=emulator.port,
        )
        yield Platform(settings, running.pid)


def _windows(state: State, platform: Platform, instance: dg.DagsterInstance, name: str, asset: dg.AssetKey) -> None:
    def work() -> None:
        all_keys = len(flows_windows(platform.settings).partitions.get_partition_keys())
        for keys in list(pending(platform.settings, instance, asset)):
            argv = program("windows_run", keys[0], keys[-1], asset.to_user_string())
            run(argv, settings=platform.variables, seen=True)
            done = instance.get_materialized_partitions(asset)
            console.print(f"{name}: {len(done)} of {all_keys} windows")
            if name == "publish":  # also those of a run that was stopped
                state.windows |= {key: cost(platform.settings, instance, key) for key in done - state.windows.keys()}
            state.save()

    _once(state, name, platform.emulator, work)


def _first_again(state: State, platform: Platform, instance: dg.DagsterInstance) -> None:
    """The first window that has rows once more, stage by stage as before, now that all the others are in the table."""
    first = min(key for key, window in state.windows.items() if window.rows)
    declaration = flows_windows(platform.settings)
    for asset in (declaration.files_key, declaration.table_key):
        argv = program("windows_run", first, first, asset.to_user_string())
        run(argv, settings=platform.variables, seen=True)
    state.again = cost(platform.settings, instance, first)


def folder_of(work: Path, rows: int) -> Path:
    """The folder of a full run of that size."""
    return work.resolve() / f"full-{rows}"
