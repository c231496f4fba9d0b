"""Shares of a budget: what fits is held at once, what does not waits."""

import threading

import pytest

from flows_platform.runtime.budget import Budget


def test_what_does_not_fit_waits() -> None:
    budget = Budget(10)
    entered = threading.Event()

    def hold() -> None:
        with budget.of(4):
            entered.set()

    waiting = threading.Thread(target=hold)
    with budget.of(6):
        with budget.of(4):
            waiting.start()
            assert not entered.wait(0.05)
        assert entered.wait(60)
    waiting.join(60)


def test_a_share_larger_than_the_whole_is_held_alone() -> None:
    budget = Budget(10)
    entered = threading.Event()

    def hold() -> None:
        with budget.of(1):
            entered.set()

    waiting = threading.Thread(target=hold)
    with budget.of(25):
        waiting.start()
        assert not entered.wait(0.05)
    assert entered.wait(60)
    waiting.join(60)


def test_an_error_gives_a_share_back() -> None:
    budget = Budget(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), budget.of(1):
            _ = 1 / 0
