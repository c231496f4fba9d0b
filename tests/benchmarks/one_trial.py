"""A row of the benchmarks, each of its contenders once."""

import pytest

from benchmarks.catalog import ROWS
from benchmarks.contest import require_equal
from benchmarks.environment import others_installed
from benchmarks.record import Record
from benchmarks.report import render
from benchmarks.sizes import Sizes

WITH_REPORTS = ("reports", "reports-datasette", "reports-at-once", "reports-rows", "reports-hourly")
WITH_EMULATOR = (
    "window",
    "backfill",
    "backfill-all",
    *WITH_REPORTS,
)  # tested by themselves: they start an emulator each


def check_row(name: str, sizes: Sizes) -> None:
    """Its contenders run, their output is equal, and its goals are shown."""
    row = ROWS[name]
    if row.others and not others_installed():
        pytest.skip("the others' packages are absent; `make bench` installs them")
    with row.contest(sizes) as contenders:
        trials = {contender.name: [contender.trial()] for contender in contenders}
        require_equal(contenders)
    record = Record(name, sizes.rows, {"commit": "none", "packages": {}}, [0.0, 0.0, 0.0], 0.0, trials)
    text = render([row], {name: record})
    for goal in row.goals:
        assert goal.value(trials) > 0
        assert f"| {goal.stage} | {goal.ours} |" in text
    assert "not measured" not in text
