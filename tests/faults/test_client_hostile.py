"""Hostile bodies end in a typed error, within 64 MB and little more work than their bytes, and never by a signal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.hostile_bodies import HOSTILE, JSON, NDJSON, XML
from tests.faults.hostile_child import ALONE, NESTED
from tests.faults.scale import scaled

pytestmark = pytest.mark.slow

EXTRA = 64 << 20
# Calls of Python functions until the error. The most, 3 million, are made for the 185,681 empty records that are
# rejected before their fetch ends.
CALLS = 4_000_000
# In the full run each body has a process of its own; in the ordinary one a few share one.
GROUP = scaled(1, 20)
WAYS = {NESTED: {JSON, XML, NDJSON}, ALONE: {JSON, XML, NDJSON}}
NAMES = list(HOSTILE)
NAMES += [f"{name}{way}" for way, kinds in WAYS.items() for name, body in HOSTILE.items() if body.kind in kinds]
GROUPS = [NAMES[start : start + GROUP] for start in range(0, len(NAMES), GROUP)]


@pytest.mark.faults
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_a_hostile_body_is_refused_by_type(tmp_path: Path, names: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile_child", str(tmp_path), *names],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    results = dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=False))
    assert len(results) == len(names), f"{names[len(results)]}: exit {done.returncode}\n{done.stderr[-2000:]}"
    unharmed = [name for name, found in results.items() if found["error"] == "none"]
    assert unharmed == []
    large = {name: found for name, found in results.items() if found["extra"] > EXTRA or found["calls"] > CALLS}
    assert large == {}
    assert not (tmp_path / "window.parquet").exists()


def test_there_are_many_hostile_bodies() -> None:
    assert len(HOSTILE) >= 25
