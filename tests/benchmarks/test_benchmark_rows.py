"""Every row once, tiny: its contenders run, what they put out is equal, and its goals are told. Times mean nothing."""

import pytest

from benchmarks.catalog import ROWS
from benchmarks.contest import require_equal
from benchmarks.environment import others_installed
from benchmarks.record import Record
from benchmarks.report import render
from benchmarks.sizes import Sizes


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Sizes:
    return Sizes(rows=4000, repeats=1, windows=2, work=tmp_path_factory.mktemp("benchmarks"), quiet_seconds=0)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_runs_and_what_it_compares_is_equal(name: str, sizes: Sizes) -> None:
    row = ROWS[name]
    if row.others and not others_installed():
        pytest.skip("the others' packages are absent; `make bench` installs them")
    with row.contest(sizes) as contenders:
        trials = {each.name: [each.trial()] for each in contenders}
        require_equal(contenders)
    record = Record(name, sizes.rows, {"commit": "none", "packages": {}}, [0.0, 0.0, 0.0], 0.0, trials)
    text = render([row], {name: record})
    for goal in row.goals:
        assert goal.value(trials) > 0
        assert f"| {goal.stage} | {goal.ours} |" in text
    assert "not measured" not in text
