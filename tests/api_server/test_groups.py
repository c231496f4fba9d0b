"""Work in groups: what waits is worked on together, within a size, and each thing has its own result."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from api_server.http.groups import Groups


class Bench:
    """Works on texts while it may: gives them in capitals, an error for `bad`, and fails at `broken`."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.begun, self.may_end = Event(), Event()
        self.threads = ThreadPoolExecutor(4)

    def work(self, texts: Sequence[str]) -> list[str | Exception]:
        self.seen.append(list(texts))
        self.begun.set()
        assert self.may_end.wait(60)
        if "broken" in texts:
            raise OSError("broken")
        return [ValueError(text) if text == "bad" else text.upper() for text in texts]

    def groups(self, lanes: int = 1) -> Groups[str, str]:
        return Groups(self.work, self.threads, lanes, len, 10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.may_end.set()
    made.threads.shutdown()


def tasks(groups: Groups[str, str], *texts: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(groups.result(text)) for text in texts]


def run(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(act())


def test_what_waits_is_a_group_and_each_thing_has_its_own_result(bench: Bench) -> None:
    async def act() -> None:
        waiting = tasks(bench.groups(), "one", "two", "bad", "four", "much too long", "six")
        assert await asyncio.to_thread(bench.begun.wait, 60)
        bench.may_end.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(one) for one in found] == ["ONE", "TWO", "bad", "FOUR", "MUCH TOO LONG", "SIX"]
        assert isinstance(found[2], ValueError)

    run(act)
    assert bench.seen == [["one"], ["two", "bad", "four"], ["much too long"], ["six"]]


def test_lanes_work_at_once(bench: Bench) -> None:
    async def act() -> None:
        waiting = tasks(bench.groups(lanes=2), "one", "two", "three", "four")
        await asyncio.sleep(0)
        bench.may_end.set()
        assert await asyncio.gather(*waiting) == ["ONE", "TWO", "THREE", "FOUR"]

    run(act)
    assert sorted(bench.seen[:2]) == [["one"], ["two"]]


def test_a_failure_of_the_work_is_that_of_all_its_things_and_the_next_group_goes_on(bench: Bench) -> None:
    async def act() -> None:
        waiting = tasks(bench.groups(), "one", "broken", "two", "three")
        await asyncio.sleep(0)
        bench.may_end.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in found] == [str, OSError, OSError, str]

    run(act)


def test_a_thing_that_nobody_waits_for_any_more_is_worked_on(bench: Bench) -> None:
    async def act() -> None:
        groups = bench.groups()
        (left, *others) = tasks(groups, "one", "two")
        assert await asyncio.to_thread(bench.begun.wait, 60)
        left.cancel()
        bench.may_end.set()
        assert await asyncio.gather(*others) == ["TWO"]

    run(act)
    assert bench.seen == [["one"], ["two"]]
