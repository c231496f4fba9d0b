"""The rows that end in a warehouse, once and tiny."""

from pathlib import Path

import pytest

from benchmarks.sizes import Sizes
from tests.benchmarks.one_trial import WITH_EMULATOR, check_row


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EMULATOR)
def test_a_row_loads_the_same_window_both_ways(name: str, tmp_path: Path) -> None:
    check_row(name, Sizes(rows=1000, repeats=1, windows=2, work=tmp_path, quiet_seconds=0))
