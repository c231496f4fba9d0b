"""Ranges whose end no request names: paging stops at the first record past the window, or all records are read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.trace import Trace
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, declared

START = datetime(2024, 2, 29, 20, tzinfo=UTC)
PAGE = 10


def record(number: int, at: datetime) -> dict[str, object]:
    return {"id": number, "at": at.isoformat()}


HOURS = [record(number, START + number * timedelta(hours=1)) for number in range(60)]  # 24 of them on DAY
IN_DAY = [number for number in range(60) if datetime.fromisoformat(str(HOURS[number]["at"])) in DAY]


class Export:
    """Records from `since` on, in pages of ten; a page's link starts at the page's last instant, and so repeats it."""

    def __init__(self, records: Sequence[dict[str, object]], *, size: int = PAGE, total: int | None = None) -> None:
        self.records = records
        self.size = size
        self.total = total

    def __call__(self, asked: Asked) -> Answer:
        since = datetime.fromisoformat(asked.parameters["since"])
        left = [found for found in self.records if datetime.fromisoformat(str(found["at"])) >= since]
        page = left[: self.size]
        last = str(page[-1]["at"] if page else since.isoformat()).replace("+00:00", "Z")
        around: dict[str, object] = {"done": len(left) <= self.size, "next": f"?since={last}"}
        return document({"data": page, **around} | ({"total": self.total} if self.total is not None else {}))


PAGING = {"kind": "next_link", "link": "next", "truncated": "done", "code": "false"}


def exported(folder: Path, url: str, stop: str, **api: object) -> WindowedApi:
    return declared(folder, url, **{"time": {"after": "since", "stop": stop}, "paging": PAGING, **api})


def staged(client: HttpClient, api: WindowedApi, target: Path, *, tries: int = 2) -> tuple[FetchedWindow, Trace]:
    trace = Trace()
    return fetch_window(client, api, DAY, target, tries=tries, trace=trace), trace


def ids(target: Path) -> list[int]:
    return [int(value) for value in pq.read_table(target).column("id").to_pylist()]


def test_paging_stops_at_the_first_record_past_the_window(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Export(HOURS)) as server:
        fetched, trace = staged(client, exported(tmp_path, server.origin, "beyond"), target)
    assert ids(target) == IN_DAY
    assert trace.ended == "a record of 2024-03-02 00:00:00+00:00 is past the window"
    # Each of the links repeats a record, which counts once after two pulls have shown it. 12 hours are left unread.
    assert (len(server.requests), fetched.tries) == (2 * 3, 2)
    assert (fetched.file.rows, fetched.file.rejected, fetched.answers.outside) == (24, 0, 4)
    assert fetched.answers.level is Verification.FRAMING


def test_all_is_read_and_the_rest_skipped(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Export(HOURS, size=100, total=56)) as server:
        api = exported(tmp_path, server.origin, "never", total="total", verification="count")
        fetched, trace = staged(client, api, target, tries=1)
        assert count_records(client, api, DAY) is None
    assert ids(target) == IN_DAY
    assert trace.ended == "done says that there is no more"
    assert (fetched.file.rejected, fetched.answers.outside, fetched.answers.total) == (0, 32, 56)
    assert (fetched.answers.level, fetched.answers.beside) == (Verification.COUNT, 32)


def test_a_total_that_is_not_reached_fails_a_window_that_reads_all(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    with SmallServer(Export(HOURS, size=100, total=57)) as server:
        api = exported(tmp_path, server.origin, "never", total="total")
        with pytest.raises(StreamIncomplete, match="declares 57 records in all, but 56 came"):
            staged(client, api, target, tries=1)


def test_a_total_is_compared_only_where_no_record_is_past_the_window(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    with SmallServer(Export(HOURS, size=30, total=56)) as server:
        api = exported(tmp_path, server.origin, "beyond", total="total")
        fetched, _ = staged(client, api, target, tries=1)
        assert (ids(target), fetched.answers.total) == (IN_DAY, None)
    before = [found for found in HOURS if str(found["at"]) < "2024-03-02"]
    with SmallServer(Export(before, size=30, total=25)) as server:
        api = exported(tmp_path, server.origin, "beyond", total="total")
        with pytest.raises(StreamIncomplete, match="declares 25 records in all, but 24 came"):
            staged(client, api, target, tries=1)


@pytest.mark.parametrize("stop", ["beyond", "never"])
def test_a_record_before_the_window_is_a_reject(client: HttpClient, tmp_path: Path, target: Path, stop: str) -> None:
    early = record(99, START)
    with SmallServer(lambda _: document({"data": [early, HOURS[9]], "done": True, "next": "?"})) as server:
        api = exported(tmp_path, server.origin, stop)
        fetched = fetch_window(client, api, DAY, target, max_rejected=1, tries=1)
    assert (fetched.file.rows, fetched.file.rejected) == (1, 1)


@pytest.mark.parametrize("at", [[3, 2], [3, 30, 29], [3, 40, 5]])
def test_records_without_order_are_refused(client: HttpClient, tmp_path: Path, target: Path, at: list[int]) -> None:
    records = [record(number, DAY.start + timedelta(hours=hour)) for number, hour in enumerate(at)]
    with SmallServer(lambda _: document({"data": records, "done": False, "next": "?since=9"})) as server:
        api = exported(tmp_path, server.origin, "beyond")
        with pytest.raises(
            SourceRefused,
            match=r"records are not in the order of at: .* comes after .*the earliest first, or declare `stop: never`",
        ):
            staged(client, api, target, tries=1)
        assert len(server.requests) == 1


def test_the_order_is_compared_across_pages_and_in_whole_seconds(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    def page(asked: Asked) -> Answer:
        number = int(asked.parameters["since"][-1]) if asked.parameters["since"].startswith("p") else 0
        return document({"data": pages[number], "done": False, "next": f"?since=p{number + 1}"})

    def at(seconds: float) -> datetime:
        return DAY.start + timedelta(seconds=seconds)

    pages = [[record(1, at(5.9)), record(2, at(5.1))], [record(3, at(5.0))], [record(4, DAY.end)]]
    with SmallServer(page) as server:
        api = exported(tmp_path, server.origin, "beyond")
        staged(client, api, target)
        assert ids(target) == [1, 2, 3]
        pages[1] = [record(3, at(4.9))]
        with pytest.raises(SourceRefused, match=r"00:00:04.900000\+00:00 comes after 2024-03-01 00:00:05.100000"):
            staged(client, api, target)


def test_an_answer_without_pages_is_read_to_its_end(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(lambda _: document({"data": HOURS[4:]})) as server:
        api = declared(tmp_path, server.origin, time={"after": "since", "stop": "beyond"})
        _, trace = staged(client, api, target)
    assert (ids(target), len(server.requests)) == (IN_DAY, 1)
    assert trace.ended.endswith("is past the window")


def test_a_file_of_an_hour_needs_no_end(client: HttpClient, tmp_path: Path, target: Path) -> None:
    def hour(asked: Asked) -> Answer:
        start = datetime.strptime(asked.path, "/%Y-%m-%d-%H.json").replace(tzinfo=UTC)
        return document({"data": [found for found in HOURS if str(found["at"]).startswith(f"{start:%Y-%m-%dT%H}")]})

    with SmallServer(hour) as server:
        time = {"stop": "never", "longest_days": 1 / 24}
        staged(client, declared(tmp_path, server.origin + "/{start:%Y-%m-%d-%-H}.json", time=time), target)
    assert (ids(target), len(server.requests)) == (IN_DAY, 24)


@pytest.mark.parametrize("size", [1, 5, 10])
def test_the_latest_records_may_come_first_at_one_time(
    client: HttpClient, tmp_path: Path, target: Path, size: int
) -> None:
    later, inside = datetime(2024, 3, 3, tzinfo=UTC), datetime(2024, 3, 1, 5, tzinfo=UTC)
    records = [record(number, later if number < PAGE else inside) for number in range(2 * PAGE)]

    def listed(asked: Asked) -> Answer:
        skip = int(asked.parameters.get("skip", 0))
        return document({"data": records[skip : skip + size]})

    with SmallServer(listed) as server:
        paging = {"kind": "offset", "start": "skip", "size": size}
        with pytest.raises(SourceRefused, match="the records are not in the order of at"):
            staged(client, exported(tmp_path, server.origin, "beyond", paging=paging), target)
