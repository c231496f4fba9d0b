"""Mutated documents through every native parser: a record, a reject or an error of ours, and never a signal.

In the full run a million in all.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fuzz_child import TARGETS
from tests.faults.scale import scaled

pytestmark = pytest.mark.slow

EACH = scaled(90_000, 250)
# In the full run each parser has a process of its own; in the ordinary one all share one.
GROUPS = [[target] for target in TARGETS] if scaled(1, 0) else [list(TARGETS)]


@pytest.mark.faults
@pytest.mark.parametrize("targets", GROUPS, ids=lambda targets: targets[0])
def test_mutated_documents_end_no_process(tmp_path: Path, targets: list[str]) -> None:
    block = tmp_path / "block"
    command = [sys.executable, "-m", "tests.faults.fuzz_child", str(EACH), "0", str(block), *targets]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd(), env=dict(os.environ))
    assert done.returncode == 0, f"{done.stderr[-2000:]}\n{block.read_bytes().rstrip(bytes(1))[:2000]!r}"
    lines = list(map(json.loads, done.stdout.splitlines()))
    assert len(lines) == len(targets)
    for outcomes in lines:
        assert sum(outcomes.values()) == EACH
        assert set(outcomes) <= {"read", "SourceRefused", "StreamIncomplete", "MalformedDocument"}
        assert outcomes["read"] > 0
