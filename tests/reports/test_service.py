"""Who asks for the same shares one query, which ends with the last of them; an answer is of one version."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.domain.windows import Window
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.encode import no_rows
from flows_platform.reports.runner import ReportRunner, Rows
from flows_platform.reports.service import QUERYING, WAITING, Answer, ReportService
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from tests.conditions import eventually

from .conftest import NEWEST, ORDERS, changed

REPORT = ReportDeclaration.model_validate(changed())


class Slow(ReportRunner):
    """Queries that wait until they may go on or are cancelled."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.cancelled: list[str] = []
        self.go = threading.Event()
        self.listed = True

    def run(self, report: ReportDeclaration, _values: Mapping[str, Value], label: str = "", /) -> Rows:
        self.labels.append(label)
        assert eventually(lambda: self.go.is_set() or label in self.cancelled)
        return no_rows(report)

    def cancel(self, label: str) -> bool:
        if not self.listed:
            self.listed = True
            return False
        self.cancelled.append(label)
        return True


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def service(tmp_path: Path, slow: Slow) -> Iterator[ReportService]:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", NEWEST)
    service = ReportService([REPORT], slow, VersionsFile(versions), AnswerCache(tmp_path / "answers"))
    with closing(service):
        yield service


async def until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(eventually, condition)


def ask(service: ReportService, wire_format: WireFormat = WireFormat.CSV, **given: str) -> Coroutine[Any, Any, Answer]:
    return service.answer(service.asked(REPORT, given, wire_format))


def test_a_query_is_cancelled_with_its_last_client(service: ReportService, slow: Slow) -> None:
    slow.listed = False  # at first

    async def clients() -> None:
        first, second = (asyncio.create_task(ask(service)) for _ in range(2))
        other = asyncio.create_task(ask(service, WireFormat.JSON))
        await until(lambda: bool(slow.labels))
        for leaving in (first, second):
            leaving.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.sleep(0)
        assert not slow.cancelled
        other.cancel()
        await until(lambda: bool(slow.cancelled))

    asyncio.run(clients())
    assert set(slow.cancelled) == set(slow.labels)
    assert len(slow.labels) == 1
    assert slow.labels[0]


def test_those_who_stay_get_the_answer(service: ReportService, slow: Slow) -> None:
    async def clients() -> list[Answer]:
        leaving = asyncio.create_task(ask(service))
        staying = [asyncio.create_task(ask(service, one)) for one in (WireFormat.CSV, WireFormat.JSON) for _ in "ab"]
        await until(lambda: bool(slow.labels))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        slow.go.set()
        return await asyncio.gather(*staying)

    answers = asyncio.run(clients())
    assert len({answer.body for answer in answers}) == 2
    assert all(answer.etag and answer.queue >= 0 for answer in answers)
    assert len(slow.labels) == 1
    assert not slow.cancelled


def test_a_query_that_waits_for_a_thread_is_never_sent(service: ReportService, slow: Slow) -> None:
    async def clients() -> None:
        running = [asyncio.create_task(ask(service, top=str(number))) for number in range(1, QUERYING + 1)]
        await until(lambda: len(slow.labels) == QUERYING)
        waiting = asyncio.create_task(ask(service, top="50"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        slow.go.set()
        await asyncio.gather(*running)

    asyncio.run(clients())
    service.close()
    assert len(slow.labels) == QUERYING
    assert not slow.cancelled


def test_kept_rows_wait_for_no_query(service: ReportService, slow: Slow) -> None:
    async def clients() -> Answer:
        slow.go.set()
        await ask(service, top=str(WAITING + 1))
        slow.go.clear()
        others = [asyncio.create_task(ask(service, top=str(number))) for number in range(1, WAITING + 1)]
        await until(lambda: len(slow.labels) == 1 + QUERYING)
        kept = await ask(service, WireFormat.JSON, top=str(WAITING + 1))
        assert not any(one.done() for one in others)
        slow.go.set()
        await asyncio.gather(*others)
        return kept

    assert asyncio.run(clients()).count == 0


def test_an_error_is_everyones_and_is_not_kept(tmp_path: Path) -> None:
    class Failing(Slow):
        def run(self, report: ReportDeclaration, _values: Mapping[str, Value], label: str = "", /) -> Rows:
            self.labels.append(label)
            if len(self.labels) == 1:
                raise WarehouseUnavailable("away")
            return no_rows(report)

    versions = VersionsFile(Versions(tmp_path / "versions.json"))
    failing = Failing()
    Versions(tmp_path / "versions.json").committed("orders", NEWEST)
    with closing(ReportService([REPORT], failing, versions, AnswerCache(tmp_path / "answers"))) as service:

        async def clients() -> tuple[list[object], Answer]:
            tasks = [asyncio.create_task(ask(service)) for _ in range(3)]
            return list(await asyncio.gather(*tasks, return_exceptions=True)), await ask(service)

        errors, answer = asyncio.run(clients())
    assert [str(error) for error in errors] == ["away"] * 3
    assert answer.count == 0


def test_a_window_outside_the_range_leaves_the_answer(tmp_path: Path, slow: Slow) -> None:
    report = REPORT.expanded({"orders": ORDERS})
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", NEWEST)
    slow.go.set()
    service = ReportService([report], slow, VersionsFile(versions), AnswerCache(tmp_path / "answers"))

    def etag(start: str, end: str) -> str | None:
        return asyncio.run(service.answer(service.asked(report, {"start": start, "end": end}, WireFormat.CSV))).etag

    with closing(service):
        january, february = ("2024-01-01", "2024-02-01"), ("2024-02-01", "2024-03-01")
        before = etag(*january), etag(*february)
        start, end = (NEWEST.replace(month=2, day=day) for day in (1, 2))
        with versions.changing("orders", Window(start, end)):
            assert (etag(*january), etag(*february)) == (before[0], None)
        assert etag(*january) == before[0]
        assert etag(*february) not in {None, before[1]}
    assert len(slow.labels) == 4


def test_a_shutdown_cancels_what_runs(service: ReportService, slow: Slow) -> None:
    async def clients() -> None:
        running = [asyncio.create_task(ask(service, top=str(number))) for number in range(1, 3)]
        await until(lambda: len(slow.labels) == len(running))
        service.close()  # on the event loop, before its tasks are cancelled
        assert sorted(slow.cancelled) == sorted(slow.labels)
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(clients())
