"""The full run's bookkeeping: what is to do yet, its state on disk, its report. The run itself is `make bench-full`."""

from pathlib import Path

import dagster as dg
import pytest

from benchmarks.full.report import SET_ROWS, render
from benchmarks.full.state import Stage, State, WindowCost
from benchmarks.full.watch import stage
from benchmarks.full.windows import pending
from flows_platform.settings import load_settings

FACTS: dict[str, object] = {"CPU": "one", "packages": {}}
ASSET = dg.AssetKey("flow_windows")


def state(folder: Path, rows: int = SET_ROWS) -> State:
    made = State(folder, rows, 58, "json", FACTS, [0.1, 0.2, 0.3], peak=2_500_000_000)
    made.stages = {name: Stage(600, 500, 0, done=True) for name in ("generate", "clean", "load", "fetch")}
    made.stages["publish"] = Stage(1200, 300, 800, done=True)
    made.windows = {f"2014-01-{day:02}-00:00": WindowCost(100_000 * day, 1.0 * day, 2.0, 1.5) for day in range(1, 21)}
    made.again = WindowCost(100_000, 1.0, 2.5, 2.0)
    return made


def test_the_state_is_read_as_it_was_saved(tmp_path: Path) -> None:
    made = state(tmp_path)
    made.save()
    assert State.saved(tmp_path) == made
    assert State.saved(tmp_path / "other") is None


def test_the_report_tells_targets_of_the_whole_set() -> None:
    text = render(state(Path("x")))
    assert "- Every window in Parquet: 30.0 minutes (target 20: **missed**)" in text
    assert "- Every window in the warehouse: 50.0 minutes (target 45: **missed**)" in text
    assert "2.50 GB" in text
    assert "| publish | 20.00 | 108,315 | 5.00 | 13.33 | yes |" in text


def test_the_report_shows_the_first_window_beside_the_last_ones() -> None:
    text = render(state(Path("x")))
    assert "| window 1 | 100,000 | 1.50 | 1.50 | 1.50 |" in text
    assert "| window 1 again, after 20 | 100,000 | 1.50 | 1.50 | 2.00 |" in text
    assert "| last 8, median | 1,650,000 | 17.00 | 1.03 | 1.50 |" in text


def test_a_smaller_run_has_no_targets() -> None:
    assert "target 20" not in render(state(Path("x"), rows=1000))


def test_a_report_of_a_run_that_has_just_begun() -> None:
    assert "0 windows" in render(State(Path("x"), 1000, 1, "json", FACTS, [0.0, 0.0, 0.0]))


def test_windows_that_are_done_are_left_out(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, days=2, windows_per_run=5)
    with dg.DagsterInstance.ephemeral() as instance:
        assert [len(part) for part in pending(settings, instance, ASSET)] == [5, 5, 5, 1]
        for key in ("2014-01-01-00:00", "2014-01-01-09:00"):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=ASSET, partition=key))
        parts = list(pending(settings, instance, ASSET))
    assert [len(part) for part in parts] == [2, 5, 5, 2]
    assert parts[0] == ["2014-01-01-03:00", "2014-01-01-06:00"]
    assert parts[1][0] == "2014-01-01-12:00"


def test_a_stage_that_is_stopped_keeps_its_figures(tmp_path: Path) -> None:
    made = State(tmp_path, 1, 1, "json", FACTS, [0.0, 0.0, 0.0])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), stage(made, "clean"):
            _ = 1 / 0
    again = State.saved(tmp_path)
    assert again is not None
    assert again.stage("clean").seconds > 0
    assert not again.stage("clean").done
    assert again.peak > 0
