"""A fault at a random moment of a load: each window stays the old or the new one, and one rerun makes all new."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from flows_platform.cli.commands.services import api_child
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window, bounds_since
from flows_platform.flow_database.load import load
from flows_platform.flow_database.read import iter_rows
from flows_platform.local.child import ChildProcess
from flows_platform.local.emulator import Emulator
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.cleaning import clean
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.faults.lossy_proxy import LossyProxy
from tests.faults.scale import scaled

RUNS = scaled(full=200, ci=6)
WINDOWS = 3
# What a run does, in a process that can be killed: fetch and publish each window.
LOAD = """
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows
settings = load_settings()
declaration = flows_windows(settings)
with declaration.pipeline(*build_resources(settings)) as pipeline:
    pipeline.warehouse.ensure_table(pipeline.table)
    print("ready", flush=True)
    for key in declaration.partitions.get_partition_keys()[:{windows}]:
        window = flows_windows(settings).grid.from_key(key)
        pipeline.fetch(window)
        pipeline.publish(window, "faults")
print("done", flush=True)
"""
FAULTS = ("kill the loader", "kill the api", "kill the emulator", "lose an answer of the warehouse")


@dataclass
class World:
    """Servers, a warehouse and a database of which there are two versions, old and new."""

    settings: Settings
    versions: dict[str, Path]
    children: dict[str, ChildProcess]
    running: dict[str, Supervisor]

    @property
    def windows(self) -> list[Window]:
        return [
            flows_windows(self.settings).grid.from_key(key)
            for key in flows_windows(self.settings).partitions.get_partition_keys()
        ][:WINDOWS]

    def start(self, name: str) -> None:
        """Start the `api` or the `emulator`."""
        self.running[name].start(self.children[name])

    def kill(self, name: str) -> None:
        """SIGKILL, no chance to tidy up."""
        (victim,) = self.running[name].children
        os.killpg(victim.pid, signal.SIGKILL)
        self.running[name].stop()

    def use(self, version: str) -> None:
        """Put a version of the database in place, as a load does: by rename."""
        staged = self.settings.files.database.with_suffix(".next")
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(self.versions[version].read_bytes())
        staged.replace(self.settings.files.database)

    def expected(self, version: str) -> list[RowDigest]:
        """The digest of each window in a version."""
        bounds = [bounds_since(self.settings.epoch, window) for window in self.windows]
        rows = list(iter_rows(self.versions[version], FLOWS))
        return [RowDigest.of(row for row in rows if row[1] in bound) for bound in bounds]  # type: ignore[operator]

    def held(self) -> list[RowDigest]:
        """The digest of each window in the warehouse."""
        declaration = flows_windows(self.settings)
        with declaration.pipeline(*build_resources(self.settings)) as pipeline:
            return [pipeline.warehouse.digest(pipeline.table, window) for window in self.windows]

    def loader(self, **environment: str) -> subprocess.Popen[str]:
        variables = {
            "FLOWS_HOME": str(self.settings.home),
            "FLOWS_DAYS": "1",
            "FLOWS_API_PORT": str(self.settings.api_port),
            "FLOWS_EMULATOR_PORT": str(self.settings.emulator_port),
            "FLOWS_EMULATOR_KEY_FILE": str(self.settings.emulator_key),
            "FLOWS_BIGQUERY_DATASET": self.settings.bigquery_dataset,
            "FLOWS_RETRY_ATTEMPTS": "2",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        return subprocess.Popen(
            [sys.executable, "-c", LOAD.format(windows=WINDOWS)],
            env=variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def load(self) -> None:
        """A run without a fault."""
        loader = self.loader()
        output, _ = loader.communicate(timeout=120)
        assert output.endswith("done\n"), output


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    versions = {}
    for number, version in enumerate(("old", "new")):
        generate(folder / "raw.txt", rows=6000 + 500 * number, days=1, seed=number)
        clean(folder / "raw.txt", folder / "clean.csv", folder / "rejects.csv")
        versions[version] = folder / f"{version}.db"
        load(folder / "clean.csv", versions[version], FLOWS)
    emulator = Emulator.at(folder / "emulator")
    settings = load_settings(
        home=folder / "home",
        days=1,
        api_port=free_port(),
        emulator_port=emulator.port,
        emulator_key_file=emulator.key_file,
        bigquery_dataset=f"faults_{uuid4().hex}",
    )
    with Supervisor() as warehouses, Supervisor() as servers:
        children = {"api": api_child(settings), "emulator": emulator.child()}
        world = World(settings, versions, children, {"api": servers, "emulator": warehouses})
        world.use("old")
        for name in children:
            world.start(name)
        yield world


def inject(world: World, fault: str, dice: random.Random) -> None:
    """Run a load and let the fault happen at a random moment of it."""
    proxy = LossyProxy(world.settings.emulator_port, dice.randint(1, 40)) if "lose" in fault else None
    loader = world.loader(**({"FLOWS_EMULATOR_PORT": str(proxy.port)} if proxy else {}))
    assert loader.stdout is not None
    loader.stdout.readline()
    time.sleep(dice.uniform(0.0, 1.6))
    victim = fault.removeprefix("kill the ")
    if victim == "loader":
        loader.kill()
    if victim in world.children:
        world.kill(victim)
    loader.communicate(timeout=180)
    if victim in world.children:
        world.start(victim)
    if proxy:
        proxy.close()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_window_is_old_or_new_and_a_rerun_converges(world: World, seed: int) -> None:
    dice = random.Random(seed)
    fault = FAULTS[seed % len(FAULTS)]
    before, after = ("old", "new") if seed % 2 else ("new", "old")
    world.use(before)
    world.load()
    assert world.held() == world.expected(before)

    world.use(after)
    inject(world, fault, dice)
    for held, old, new in zip(world.held(), world.expected(before), world.expected(after), strict=True):
        assert held in (old, new)
    world.load()
    assert world.held() == world.expected(after)
    leftovers = [path.name for path in (world.settings.files.windows / "flows").iterdir() if path.name.startswith(".")]
    assert leftovers == []
