"""The contest's rules: turns, warm-up, resuming, equality, medians and ratios; records on disk; the rendered table."""

from pathlib import Path

import pytest

from benchmarks import machine
from benchmarks.contest import Contender, Goal, Quantity, Row, Trial, Trials, compete, require_equal
from benchmarks.record import Record, begun, saved
from benchmarks.report import render
from benchmarks.rows.files import clean
from benchmarks.sizes import Sizes
from flows_platform.domain.errors import InputError

FACTS = {"CPU": "one", "commit": "abc", "packages": {"pyarrow": "1"}}


def contenders(turns: list[str], *results: str) -> list[Contender]:
    """Two that note their turns; each is half a second slower each time."""

    def make(name: str, result: str) -> Contender:
        def trial() -> Trial:
            turns.append(name)
            return Trial(rows=100, seconds=turns.count(name) / 2, cpu=1.0, rss=2_000_000)

        return Contender(name, trial, lambda: result)

    return [make(name, result) for name, result in zip("AB", results or ("same", "same"), strict=True)]


def test_rounds_are_interleaved_and_the_first_does_not_count() -> None:
    turns: list[str] = []
    kept: list[int] = []
    trials = compete(contenders(turns), 3, lambda made: kept.append(len(made["A"])), {})
    assert "".join(turns) == "AB" * 4
    assert kept == [1, 2, 3]
    assert [trial.seconds for trial in trials["A"]] == [1.0, 1.5, 2.0]


def test_a_stopped_contest_goes_on_after_another_warm_up() -> None:
    turns: list[str] = []
    before: Trials = {"A": [Trial(1, 1.0)] * 2, "B": [Trial(1, 1.0)] * 2}
    trials = compete(contenders(turns), 3, lambda _: None, before)
    assert "".join(turns) == "ABAB"
    assert [len(made) for made in trials.values()] == [3, 3]


def test_progress_is_told_for_every_trial() -> None:
    told: list[tuple[int, int | None]] = []
    compete(contenders([]), 1, lambda _: None, {}, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_different_outputs_are_refused_before_anything_is_kept() -> None:
    kept: list[Trials] = []
    with pytest.raises(InputError, match="B put out other, but A put out same"):
        compete(contenders([], "same", "other"), 2, kept.append, {})
    assert not kept


def test_groups_are_compared_within_themselves() -> None:
    one, other = contenders([], "same", "other")
    require_equal([one, Contender("C", other.trial, other.result, group="another")])


TRIALS: Trials = {
    "ours": [Trial(100, 1.0, 2.0, 90_000_000), Trial(100, 2.0, 2.0, 95_000_000), Trial(100, 10.0, 2.0, 99_000_000)],
    "theirs": [Trial(50, 2.0, 2.0, 9_000_000)] * 3,
}


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal("", "ours", "theirs", at_least=2), 2.0, True),
        (Goal("", "ours", "theirs", at_least=2.01), 2.0, False),
        (Goal("", "ours", "theirs"), 2.0, None),
        (Goal("", "ours", "theirs", quantity=Quantity.SECONDS, at_most=1.3), 1.0, True),
        (Goal("", "ours", quantity=Quantity.RSS, at_most=94), 95.0, False),
        (Goal("", "ours", quantity=Quantity.CPU, at_most=0.3), 0.02, True),
    ],
)
def test_a_goal_compares_medians(goal: Goal, value: float, reached: bool | None) -> None:  # noqa: FBT001 - three states
    assert goal.value(TRIALS) == pytest.approx(value)
    assert goal.reached(value) is reached


def test_the_range_is_that_of_the_rounds() -> None:
    assert Goal("", "ours", "theirs").range(TRIALS) == pytest.approx((0.4, 4.0))


ROW = Row("row", (Goal("a stage", "ours", "theirs", at_least=50),), clean)


def test_the_table_says_what_was_measured_and_what_was_missed() -> None:
    text = render([ROW], {"row": Record("row", 1000, FACTS, [0.5, 0, 0], 0.02, TRIALS)})
    assert "| a stage | ours | theirs | 2.00 x | 0.40 x to 4.00 x | ≥ 50.0 x | 50% | 95 MB | **no** |" in text
    assert "CPU one, commit abc" in text
    assert "row 0.5" in text
    assert "not quiet" not in text


def test_each_way_is_shown_by_itself() -> None:
    text = render([ROW], {"row": Record("row", 1000, FACTS, [0.5, 0, 0], 0.02, TRIALS)})
    assert "| row | ours | 2.00 | 2.00 | 50 | 95 MB |" in text
    assert "| row | theirs | 2.00 | 2.00 | 25 | 9 MB |" in text


def test_what_the_kernel_did_not_count_is_left_empty() -> None:
    text = render([ROW], {"row": Record("row", 1000, FACTS, [0.5, 0, 0], 0.02, {"ours": [Trial(100, 20.0)]})})
    assert "| row | ours | 20.0 |  | 5 |  |" in text


def test_a_machine_that_was_not_quiet_is_told() -> None:
    text = render([ROW], {"row": Record("row", 1000, FACTS, [3.0, 0, 0], 0.5, TRIALS)})
    assert "The machine was not quiet" in text
    assert "row (50%)" in text


def test_what_was_not_measured_is_told() -> None:
    assert "Not measured yet: row." in render([ROW], {})
    assert "| not measured |" in render([ROW], {"row": Record("row", 1000, FACTS, [0, 0, 0], 0.0)})


def test_figures_of_two_commits_are_told() -> None:
    other = Record("other", 1000, FACTS | {"commit": "def"}, [0, 0, 0], 0.0, TRIALS)
    rows = [ROW, Row("other", ROW.goals, clean)]
    text = render(rows, {"row": Record("row", 1000, FACTS, [0, 0, 0], 0.0, TRIALS), "other": other})
    assert "**Not of one commit**: abc, def" in text


def test_a_record_is_resumed_only_for_the_same_product_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "facts", lambda: FACTS)
    sizes = Sizes(rows=1000, work=tmp_path, quiet_seconds=0)
    first = begun(sizes, "row", again=False)
    first.trials = TRIALS
    (tmp_path / "raw").mkdir()
    first.save(tmp_path)
    assert saved(tmp_path, "row") == first
    assert begun(sizes, "row", again=False).trials == TRIALS
    assert begun(sizes, "row", again=True).trials == {}
    assert begun(Sizes(rows=2000, work=tmp_path, quiet_seconds=0), "row", again=False).trials == {}
    monkeypatch.setattr(machine, "facts", lambda: FACTS | {"commit": "def"})
    assert begun(sizes, "row", again=False).trials == {}


def test_the_machine_tells_its_facts() -> None:
    facts = machine.facts()
    assert {"CPU", "CPUs", "memory", "Python", "commit", "packages"} <= facts.keys()
    assert 0 <= machine.busy_share(0.05) <= 1
