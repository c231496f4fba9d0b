"""What counts as shrinking, and what confirms it."""

import pytest

from flows_platform.domain.shrinking import ShrinkRule

HALF = ShrinkRule()
MOVING = ShrinkRule(moving=True)


@pytest.mark.parametrize(
    ("held", "rows", "shrinks"),
    [
        (0, 0, False),  # a first load of an empty window
        (1, 0, True),
        (99, 1, False),  # too few to judge by a share
        (100, 50, False),  # half of them, not more
        (100, 49, True),
        (1000, 999, False),
        (1000, 2000, False),
    ],
)
def test_a_window_shrinks_when_it_becomes_empty_or_loses_more_than_the_share(
    held: int, rows: int, *, shrinks: bool
) -> None:
    assert HALF.shrinks(held, rows) is shrinks
    assert MOVING.shrinks(held, rows) is shrinks


def test_the_share_is_declared() -> None:
    assert ShrinkRule(share=0.1).shrinks(1000, 899)
    assert not ShrinkRule(share=0.1).shrinks(1000, 900)
    assert not ShrinkRule(share=1).shrinks(1000, 1)
    assert ShrinkRule(share=1).shrinks(1000, 0)
    assert ShrinkRule(share=0).shrinks(100, 99)


@pytest.mark.parametrize(
    ("first", "again", "fixed", "moving"),
    [
        (0, 0, True, True),
        (400, 400, True, True),
        (400, 399, False, True),
        (400, 200, False, True),
        (400, 199, False, False),
        (400, 0, False, False),
        (0, 400, False, False),
        (400, 401, False, False),
    ],
)
def test_a_second_pull_says_the_same(first: int, again: int, *, fixed: bool, moving: bool) -> None:
    assert HALF.says_the_same(first, again) is fixed
    assert MOVING.says_the_same(first, again) is moving


@pytest.mark.parametrize(
    ("first", "again", "same"),
    [
        (400, 400, True),
        (400, 390, True),
        (400, 410, True),
        (400, 199, False),
        (400, 801, False),
        (400, 0, False),
        (0, 0, True),
    ],
)
def test_a_list_that_goes_on_changing_confirms_the_one_before(first: int, again: int, *, same: bool) -> None:
    assert ShrinkRule(snapshot=True).says_the_same(first, again) is same
