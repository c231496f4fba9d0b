"""Faults at random moments of senders at work: acknowledged is archived, always; nothing is there twice."""

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.hooks_world import World, batches, running, send_all
from tests.faults.scale import scaled

pytestmark = pytest.mark.slow

RUNS = scaled(full=200, ci=4)
FAULTS = ("kill", "full", "broken", "kill while full")


def disturb(world: World, fault: str, dice: random.Random) -> None:
    """One fault, and its end."""
    time.sleep(dice.uniform(0.0, 0.15))
    switch = world.folder / ("broken" if fault == "broken" else "full")
    if fault != "kill":
        switch.touch()
        time.sleep(dice.uniform(0.01, 0.15))
    if fault.startswith("kill"):
        world.kill()
        switch.unlink(missing_ok=True)
        world.start()
    switch.unlink(missing_ok=True)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(RUNS))
def test_acknowledged_is_archived_and_a_rerun_converges(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    kind, minutes = dice.choice(["url_secret", "standard"]), dice.choice([0, 0, -10, 10])
    tries = (3, 10)[seed % 2]
    sent = batches(dice)
    world = World(tmp_path, kind, minutes)
    with running(world):
        senders = threading.Thread(target=send_all, args=(world, sent, tries, seed))
        senders.start()
        for fault in dice.sample(FAULTS, 2):
            disturb(world, fault, dice)
        senders.join()
        world.kill()
    if kind == "standard" and minutes:
        assert world.acknowledged == []  # a signed time that is ten minutes off proves nothing
    everything = {one for batch in sent for one in batch}
    assert set(world.acknowledged) <= set(world.held) <= everything
    counts = world.rerun()
    held = Counter(world.held)
    assert set(held.values()) <= {1}
    assert set(world.acknowledged) <= set(held) <= everything
    assert (counts.records, counts.open) == (len(held), 0)
    assert [path.name for path in (tmp_path / "archive" / ".new").iterdir()] == []
    world.minutes = 0
    with running(world):
        send_all(world, sent, 1, seed)
        world.kill()
    assert set(world.statuses[-len(sent) :]) == {200}
    assert Counter(world.held) == Counter(everything)
    assert world.rerun().records == len(everything)
