"""Exports: a job is started, awaited, and what it has written is read; all of it, or the window fails."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import MalformedDocument, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.pace import HttpLimits
from flows_platform.fetch.trace import Trace
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from tests.fakes.serving import Answer, Asked, Fault
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, declared


def record(number: int) -> dict[str, object]:
    return {"id": number, "at": f"2024-03-01T00:00:{number:02}Z"}


class Exports:
    """Jobs with these states, one after the other, the last again and again; a done job lists its chunks."""

    def __init__(
        self, chunks: dict[Any, list[Any]], states: tuple[str, ...] = ("QUEUED", "PROCESSING", "FINISHED")
    ) -> None:
        self.chunks = chunks
        self.listed: Any = list(chunks)
        self.states = states
        self.job: Any = "job-1"
        self.around: dict[str, object] = {}
        self.statuses = 0
        self.headers: dict[str, str] = {}

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/export":
            self.statuses = 0
            return document({"export": {"uuid": self.job}}, 202)
        if asked.path.endswith("/status"):
            state = self.states[min(self.statuses, len(self.states) - 1)]
            self.statuses += 1
            listed = self.listed if state == "FINISHED" else [next(iter(self.chunks), 1)]
            return document({"state": state, "chunks": listed, **self.around}, 200, **self.headers)
        name = asked.path.rpartition("/")[2]
        known = {str(chunk): records for chunk, records in self.chunks.items()}
        return document({"data": known[name]}) if name in known else document({}, 404)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between two requests for a status, which tests do not wait for."""
    waited: list[float] = []
    monkeypatch.setattr("flows_platform.fetch.job_pages.sleep", waited.append)
    return waited


def exported(folder: Path, origin: str, *, job: dict[str, Any] | None = None, **api: Any) -> WindowedApi:
    start = {"method": "POST", "url": f"{origin}/export", "body": {"since": "{start}"}, "id": "export.uuid"}
    status = {"url": f"{origin}/export/{{job}}/status", "state": "state", "done": "FINISHED", "failed": ["CANCELLED"]}
    chunks = {"list": "chunks", "url": f"{origin}/export/{{job}}/chunks/{{part}}"}
    keys = {"start": start, "status": status, "parts": chunks, **(job or {})}
    time = {"written": "seconds", "stop": "never"}
    return declared(folder, None, **{"job": {k: v for k, v in keys.items() if v}, "time": time, **api})


def staged(client: HttpClient, api: WindowedApi, target: Path, *, tries: int = 1) -> tuple[FetchedWindow, Trace]:
    trace = Trace()
    return fetch_window(client, api, DAY, target, tries=tries, trace=trace), trace


def ids(target: Path) -> list[int]:
    return [int(value) for value in pq.read_table(target).column("id").to_pylist()]


def test_the_chunks_of_a_done_job_are_read(client: HttpClient, tmp_path: Path, target: Path, naps: list[float]) -> None:
    late = {"id": 9, "at": "2024-03-05T00:00:00Z"}
    with SmallServer(Exports({1: [record(1), record(2)], "b/2": [record(3), late], 3: []})) as server:
        server._respond.chunks["b%2F2"] = server._respond.chunks["b/2"]  # type: ignore[attr-defined]
        fetched, trace = staged(client, exported(tmp_path, server.origin), target)
        assert count_records(client, exported(tmp_path, server.origin), DAY) is None
    assert (ids(target), fetched.answers.outside, fetched.tries) == ([1, 2, 3], 1, 1)
    assert [(asked.method, asked.target) for asked in server.requests] == [
        ("POST", "/export"),
        *[("GET", "/export/job-1/status")] * 3,
        ("GET", "/export/job-1/chunks/1"),
        ("GET", "/export/job-1/chunks/b%2F2"),
        ("GET", "/export/job-1/chunks/3"),
    ]
    assert json.loads(server.requests[0].body) == {"since": 1709251200}
    assert naps == [10.0, 10.0]
    assert trace.ended == "the job job-1 is done, and its result was read in 3 requests"
    assert [request.records for request in trace.requests] == [0, 0, 0, 0, 2, 2, 0]
    assert (fetched.answers.level, fetched.answers.requests) == (Verification.FRAMING, 7)


@pytest.mark.parametrize(("job", "path"), [("a/../b c", "a%2F..%2Fb%20c"), (7, "7"), ("7?x=%", "7%3Fx%3D%25")])
def test_the_id_of_a_job_is_encoded(client: HttpClient, tmp_path: Path, target: Path, job: Any, path: str) -> None:
    exports = Exports({1: [record(1)]})
    exports.job = job
    with SmallServer(exports) as server:
        staged(client, exported(tmp_path, server.origin), target)
    assert server.requests[-1].target == f"/export/{path}/chunks/1"


def test_a_job_without_chunks_has_counted_no_records(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Exports({})) as server:
        fetched, _ = staged(client, exported(tmp_path, server.origin, verification="count"), target)
    assert (fetched.file.rows, fetched.answers.level) == (0, Verification.COUNT)


def test_the_status_of_a_done_job_may_have_the_total(client: HttpClient, tmp_path: Path, target: Path) -> None:
    exports = Exports({1: [record(1)], 2: [record(2)]})
    exports.around = {"found": 2}
    with SmallServer(exports) as server:
        api = exported(tmp_path, server.origin, total="found", verification="count")
        assert staged(client, api, target)[0].answers.total == 2
        exports.around = {"found": 3}
        with pytest.raises(StreamIncomplete, match="declares 3 records in all, but 2 came"):
            staged(client, api, target)


def test_a_result_in_one_answer(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Exports({"all": [record(1), record(2)]})) as server:
        result = {"url": f"{server.origin}/export/{{job}}/all"}
        staged(client, exported(tmp_path, server.origin, job={"parts": None, "result": result}), target)
    assert ids(target) == [1, 2]


def test_a_job_that_fails_is_started_again(client: HttpClient, tmp_path: Path, target: Path) -> None:
    exports = Exports({1: [record(1)]}, ("PROCESSING", "CANCELLED"))
    with SmallServer(exports) as server:
        api = exported(tmp_path, server.origin)
        with pytest.raises(SourceUnavailable, match="the job job-1 of the source ended as CANCELLED"):
            staged(client, api, target, tries=2)
        assert [asked.path for asked in server.requests].count("/export") == 2
        assert not any("chunks" in asked.path for asked in server.requests)


def test_any_other_state_is_awaited_until_the_deadline(tmp_path: Path, target: Path, naps: list[float]) -> None:
    now = [0.0]
    client = HttpClient(HttpLimits(total=35.0), clock=lambda: now[0])
    seen: list[int] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    with SmallServer(Exports({1: [record(1)]}, ("Strange",))) as server, pytest.MonkeyPatch.context() as patched:
        patched.setattr("flows_platform.fetch.job_pages.sleep", nap)
        api = exported(tmp_path, server.origin)
        with pytest.raises(
            SourceUnavailable, match=r"the job job-1 .* is still Strange 35 s after .*FLOWS_FETCH_DEADLI"
        ):
            fetch_window(client, api, DAY, target, tries=1, progress=lambda done, _: seen.append(done))
    client.close()
    assert (naps, seen) == ([10.0, 10.0, 10.0, 5.0], [0] * 4)


def test_retry_after_lengthens_the_wait(client: HttpClient, tmp_path: Path, target: Path, naps: list[float]) -> None:
    exports = Exports({1: [record(1)]})
    exports.headers = {"Retry_After": "60"}
    with SmallServer(exports) as server:
        staged(client, exported(tmp_path, server.origin, wait={"pause": 99}), target)
        exports.headers = {"Retry_After": "2"}
        staged(client, exported(tmp_path, server.origin, wait={"pause": 99}), target)
    assert naps == [60.0, 60.0, 10.0, 10.0]


def test_a_busy_or_cut_status_starts_no_other_job(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(Exports({1: [record(1)], 2: [record(2)]})) as server:
        server.faults = {2: Fault(document({}, 503)), 3: Fault(cut_after=5), 5: Fault(document({}, 429))}
        server.faults |= {8: Fault(document({}, 503))}
        fetched, _ = staged(client, exported(tmp_path, server.origin), target, tries=3)
        assert (ids(target), fetched.tries) == ([1, 2], 1)
        assert [asked.path for asked in server.requests].count("/export") == 1


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([1, 2, 1], "the status of the job lists the chunk '1' twice"),
        ([1, "1"], "lists the chunk '1' twice"),
        ([1, 3], "/export/job-1/chunks/3 answered 404"),
        ([1, None], "the list of chunks at chunks has 'None', which is neither a text nor a whole number"),
        (2, "the status of the job has no list of chunks at chunks.*a job without records has an empty list"),
        (None, "has no list of chunks at chunks"),
        ({"a": 1}, "has no list of chunks at chunks"),
        ([1, ".."], r"gives the id '\.\.', which a URL cannot hold"),
    ],
)
def test_a_list_of_chunks_that_is_not_one_fails_the_window(
    client: HttpClient, tmp_path: Path, target: Path, listed: Any, message: str
) -> None:
    exports = Exports({1: [record(1)], 2: [record(2)]})
    exports.listed = listed
    with SmallServer(exports) as server, pytest.raises((SourceRefused, StreamIncomplete), match=message):
        staged(client, exported(tmp_path, server.origin, nothing=[404]), target)
    assert not target.exists()


@pytest.mark.parametrize(("listed", "read"), [([{"n": 1}, {"n": 2}], [1, 2]), ([], [])])
def test_chunks_may_be_objects(
    client: HttpClient, tmp_path: Path, target: Path, listed: list[Any], read: list[int]
) -> None:
    exports = Exports({1: [record(1)], 2: [record(2)]})
    exports.listed = listed
    with SmallServer(exports) as server:
        chunks = {"list": "chunks.n", "url": f"{server.origin}/export/{{job}}/chunks/{{part}}"}
        staged(client, exported(tmp_path, server.origin, job={"parts": chunks}), target)
    assert ids(target) == read


def test_two_chunks_of_the_same_records_fail_the_window(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with (
        SmallServer(Exports({1: [record(1)], 2: [record(2), record(3)], 3: [record(1)]})) as server,
        pytest.raises(
            StreamIncomplete, match=r"two chunks of the job hold the same 1 records\. Check `url` of `job.parts`"
        ),
    ):
        staged(client, exported(tmp_path, server.origin), target, tries=2)


def test_every_job_has_its_own_chunks(client: HttpClient, tmp_path: Path, target: Path) -> None:
    afternoon = {"id": 1, "at": "2024-03-01T13:00:00Z"}  # past the first of two ranges, whose job has it too
    with SmallServer(Exports({1: [afternoon], 2: []})) as server:
        time = {"written": "seconds", "stop": "never", "longest_days": 0.5}
        fetched, _ = staged(client, exported(tmp_path, server.origin, time=time), target)
    assert (ids(target), fetched.answers.outside) == ([1], 1)


@pytest.mark.parametrize("status", [200, 404])
def test_a_chunk_with_the_code_of_no_records_is_lost_only_without_the_status_of_an_error(
    client: HttpClient, tmp_path: Path, target: Path, status: int
) -> None:
    exports = Exports({1: [record(1)], 2: []})
    gone = document({"error": "gone", "code": "none"}, status)
    with SmallServer(lambda asked: gone if asked.path.endswith("/chunks/2") else exports(asked)) as server:
        errors = {"message": "error", "code": "code"}
        api = exported(tmp_path, server.origin, errors=errors, nothing=[{"code": "none"}])
        if status == 200:
            staged(client, api, target)
            assert ids(target) == [1]
            return
        with pytest.raises(SourceRefused, match=r"/chunks/2 answered 404: .*gone\.$") as error:
            staged(client, api, target)
    assert not error.value.remedy


@pytest.mark.parametrize(
    "around",
    [
        {"next": "/status?page=2"},
        {"paging": {"cursor": "x"}},
        {"truncated": True},
        {"has_more": 1},
        {"links": [{"rel": "next", "href": "/2"}]},
    ],
)
def test_a_status_that_says_that_there_is_more_fails_the_window(
    client: HttpClient, tmp_path: Path, target: Path, around: dict[str, object]
) -> None:
    exports = Exports({1: [record(1)]})
    exports.around = around
    with SmallServer(exports) as server:
        with pytest.raises(
            SourceRefused, match="the status of the done job says that there is more in values"
        ) as error:
            staged(client, exported(tmp_path, server.origin), target)
        ignored = error.value.remedy.partition("ignore_envelope: [")[2].partition("]`")[0].strip("'")
        staged(client, exported(tmp_path, server.origin, ignore_envelope=[ignored]), target)
    assert ids(target) == [1]


@pytest.mark.parametrize(
    ("around", "path"),
    [
        ({"chunks_failed": [0]}, "chunks_failed"),
        ({"chunks_cancelled": [3], "chunks_failed": []}, "chunks_cancelled"),
        ({"result": {"failedRecords": 5}}, "result.failedRecords"),
        ({"counts": {"done": 1, "failed": 1}}, "counts.failed"),
        ({"error_count": 1}, "error_count"),
    ],
)
def test_a_done_job_that_lost_some_of_its_result_fails_the_window(
    client: HttpClient, tmp_path: Path, target: Path, around: dict[str, object], path: str
) -> None:
    exports = Exports({1: [record(1)]})
    exports.around = around
    with SmallServer(exports) as server:
        with pytest.raises(
            SourceUnavailable, match=f"its status says at {path} that some of its result failed"
        ) as error:
            staged(client, exported(tmp_path, server.origin), target)
        staged(client, exported(tmp_path, server.origin, ignore_envelope=[path.partition(".")[0]]), target)
    assert f"`ignore_envelope: [{path}]`" in error.value.remedy
    assert ids(target) == [1]


def test_other_values_of_a_status_mean_nothing(client: HttpClient, tmp_path: Path, target: Path) -> None:
    exports = Exports({1: [record(1)]})
    exports.around = {
        "chunks_failed": [],
        "numberRecordsFailed": 0,
        "cancelled_at": 1_700_000_000,
        "error": None,
        "errors": {},
        "total_chunks": 1,
        "next": None,
    }
    with SmallServer(exports) as server:
        staged(client, exported(tmp_path, server.origin), target)
    assert ids(target) == [1]


def test_a_chunk_that_says_that_there_is_more_fails_the_window(
    client: HttpClient, tmp_path: Path, target: Path
) -> None:
    exports = Exports({1: [record(1)]})
    more = document({"data": [record(1)], "next": "x"})
    with (
        SmallServer(lambda asked: more if "chunks" in asked.path else exports(asked)) as server,
        pytest.raises(SourceRefused, match="says that there is more in values that nothing reads: next"),
    ):
        staged(client, exported(tmp_path, server.origin), target)


@pytest.mark.parametrize(
    ("path", "answered", "message"),
    [
        ("/export", document({"export": {}}), r"the answer to `job.start` has 'None' for the id at export\.uuid"),
        ("/export", document({"export": {"uuid": [1, 2]}}), "for the id at"),
        ("/export", document([1]), "the answer about a job is not a JSON object"),
        ("/export", Answer(200, {"Content-Type": "text/html"}, b"<html>"), "the answer about a job is not JSON: b'<ht"),
        ("/export/job-1/status", document({"status": "FINISHED"}), "the status of the job has 'None' for the state at"),
        ("/export/job-1/status", document({}, 404), "/export/job-1/status answered 404"),
        ("/export/job-1/status", document({"error": "gone", "code": "none"}), "answers with an error none: gone"),
        ("/export/job-1/status", document({"state": "x" * (9 << 20)}), "has more than 8,388,608 bytes"),
    ],
)
def test_answers_about_a_job_are_read_as_declared(  # noqa: PLR0917 - what is given
    client: HttpClient, tmp_path: Path, target: Path, path: str, answered: Answer, message: str
) -> None:
    exports = Exports({1: [record(1)]})
    with SmallServer(lambda asked: answered if asked.path == path else exports(asked)) as server:
        errors = {"message": "error", "code": "code"}
        api = exported(tmp_path, server.origin, errors=errors, nothing=[404, {"code": "none"}])
        with pytest.raises((SourceRefused, MalformedDocument), match=message):
            staged(client, api, target)
    assert not target.exists()


def test_a_start_may_say_that_there_are_no_records(client: HttpClient, tmp_path: Path, target: Path) -> None:
    with SmallServer(lambda _: document({}, 404)) as server:
        fetched, trace = staged(client, exported(tmp_path, server.origin, nothing=[404]), target)
    assert (fetched.file.rows, fetched.answers.level) == (0, Verification.COUNT)
    assert "declared to mean that there are no records" in trace.ended


def test_secrets_of_a_start_leave_no_message(
    client: HttpClient, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_KEY", "canary+7")
    body = {"since": "{start}", "k": {"env": "JOB_KEY"}}

    def refused(asked: Asked) -> Answer:
        return document({"detail": f"not {json.loads(asked.body)['k']}"}, 403)

    with SmallServer(refused) as server:
        start = {"method": "POST", "url": f"{server.origin}/export", "body": body, "id": "export.uuid"}
        api = exported(tmp_path, server.origin, job={"start": start})
        with pytest.raises(SourceRefused, match=r"answered 403: not \*\*\*") as error:
            staged(client, api, target)
    assert "canary" not in str(error.value) + repr(api)


def test_every_value_of_a_list_is_a_job_of_its_own(client: HttpClient, tmp_path: Path, target: Path) -> None:
    exports = Exports({1: [record(1)]})

    def answered(asked: Asked) -> Answer:
        tenant, _, rest = asked.path.removeprefix("/").partition("/")
        exports.chunks = {1: [record(len(tenant))]}
        asked.path = f"/{rest}"
        return exports(asked)

    with SmallServer(answered) as server:
        start = {"method": "POST", "url": f"{server.origin}/{{tenant}}/export", "body": {"since": "{start}"}}
        status = {"url": f"{server.origin}/{{tenant}}/export/{{job}}/status", "state": "state", "done": "FINISHED"}
        chunks = {"list": "chunks", "url": f"{server.origin}/{{tenant}}/export/{{job}}/chunks/{{part}}"}
        job = {"start": {**start, "id": "export.uuid"}, "status": status, "parts": chunks}
        staged(client, exported(tmp_path, server.origin, job=job, for_each={"tenant": ["a", "bb"]}), target)
    assert ids(target) == [1, 2]
    assert [asked.target.split("/")[1] for asked in server.requests] == ["a"] * 5 + ["bb"] * 5
