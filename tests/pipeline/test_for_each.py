"""One pull per value of a list, all in one window: by list, file and environment."""

import gc
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.errors import ConfigurationError, PlatformError, SourceRefused, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.count import count_records
from flows_platform.fetch.http.client import HttpClient
from flows_platform.orchestration.metadata.figures import file_metadata
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.pipeline.reprocess import reprocess_quarantine
from flows_platform.window_files.parquet import BATCHES, ParquetSink, footer_of
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, api_of

AT = "2024-03-01T01:00:00Z"
REPOS: dict[str, list[int]] = {"a/x": [1, 2, 3], "b c": [1], "ü&y": []}
PAGES = 2


def source(url: str, values: object, *, columns: Sequence[dict[str, Any]] = (), **changes: Any) -> dict[str, Any]:
    api = {
        "url": f"{url}/repos/{{repo}}/events",
        "format": "json",
        "records": "data",
        "for_each": {"repo": values},
        "time": {"after": "from", "before": "to", "before_inclusive": False},
        "paging": {"kind": "page", "parameter": "page", "size_parameter": "n", "size": PAGES},
        "total": "total",
    }
    return {
        "name": "events",
        "api": api | changes.pop("api", {}),
        "columns": [
            {"name": "repo", "from": "repo", "required": True},
            {"name": "id", "type": "int64", "required": True},
            {"name": "at", "type": "timestamp", "required": True},
            *columns,
        ],
        "time": "at",
        "key": ["repo", "id"],
        "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
    } | changes


class Events(SmallServer):
    """Gives each repository's events, two a page, with their number."""

    def __init__(self, **extra: object) -> None:
        super().__init__(self._events)
        self.repos = {name: list(numbers) for name, numbers in REPOS.items()}
        self.totals: dict[str, int] = {}
        self.extra = extra

    def _events(self, asked: Asked) -> Answer:
        paths = {"/repos/a/x/events": "a/x", "/repos/b%20c/events": "b c", "/repos/%C3%BC%26y/events": "ü&y"}
        repo = paths.get(asked.path, asked.path.split("/")[2])
        if repo not in self.repos:
            return document({"message": "no such repository"}, 404)
        first, numbers = PAGES * (int(asked.parameters.get("page", 1)) - 1), self.repos[repo]
        data = [{"id": number, "at": AT, **self.extra} for number in numbers[first : first + PAGES]]
        return document({"total": self.totals.get(repo, len(numbers)), "data": data})


def pairs(path: Path) -> list[tuple[str, int]]:
    rows = cast("list[dict[str, Any]]", pq.read_table(path).to_pylist())
    return [(row["repo"], row["id"]) for row in rows]


ALL = [(repo, number) for repo, numbers in REPOS.items() for number in numbers]


@pytest.mark.parametrize("kind", ["list", "file", "variable", "lines of a variable"])
def test_every_value_is_a_pull_of_one_window(
    tmp_path: Path, client: HttpClient, target: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "repos.txt").write_bytes(b"\xef\xbb\xbfa/x\r\n\r\n  b c  \n" + "ü&y".encode())
    monkeypatch.setenv("REPOS", "a/x, b c,ü&y," if kind == "variable" else "a/x\nb c\nü&y\n")
    values = {"list": list(REPOS), "file": {"file": "repos.txt"}}.get(kind, {"env": "REPOS"})
    with Events() as server:
        api = api_of(tmp_path, source(server.origin, values))
        fetched = fetch_window(client, api, DAY, target)
    assert pairs(target) == ALL
    assert [asked.target.partition("?")[0] for asked in server.requests] == [
        "/repos/a/x/events",
        "/repos/a/x/events",
        "/repos/b%20c/events",
        "/repos/%C3%BC%26y/events",
    ]
    assert fetched.answers.level is Verification.COUNT
    assert (fetched.answers.total, fetched.answers.pulls) == (4, 3)
    footer = footer_of(target)
    assert (footer.values, len(footer.values_sha256)) == (3, 64)
    assert file_metadata(api.schema, fetched)["pulls"].value == 3
    assert "/repos/a/x/events?" in fetched.url


def test_the_value_goes_into_parameters_headers_and_the_body(tmp_path: Path, client: HttpClient, target: Path) -> None:
    api = {
        "url": "",
        "method": "POST",
        "parameters": {"q": "repo:{repo} {other}"},
        "headers": {"X-Repo": "{repo}"},
        "body": {"filter": [{"repo": "{repo}", "n": 7}], "from": "{start}"},
        "paging": None,
        "total": None,
        "verification": "framing",
    }
    with SmallServer(lambda _: document({"data": []})) as server:
        declared = source(server.origin, ["a/x", "b{c}&"], api=api | {"url": f"{server.origin}/search"})
        declared["api"] = {key: value for key, value in declared["api"].items() if value is not None}
        fetch_window(client, api_of(tmp_path, declared), DAY, target)
    for asked, value in zip(server.requests, ("a/x", "b{c}&"), strict=True):
        assert asked.parameters["q"] == f"repo:{value} {{other}}"
        assert asked.headers["x-repo"] == value
        assert json.loads(asked.body) == {"filter": [{"repo": value, "n": 7}], "from": "2024-03-01T00:00:00Z"}


def test_the_value_goes_into_the_requests_for_details(tmp_path: Path, client: HttpClient, target: Path) -> None:
    def answer(asked: Asked) -> Answer:
        number = 1 if "/a" in asked.path else 2
        return document({"data": [number] if "/lists/" in asked.path else {"id": number, "at": AT}})

    with SmallServer(answer) as server:
        details = {"url": f"{server.origin}/things/{{repo}}/{{id}}", "records": "data"}
        declared = source(server.origin, ["a", "b"])
        api = {key: value for key, value in declared["api"].items() if key not in {"paging", "total"}}
        api |= {"url": f"{server.origin}/lists/{{repo}}", "details": details}
        fetch_window(client, api_of(tmp_path, declared | {"api": api, "key": "id"}), DAY, target)
    assert pairs(target) == [("a", 1), ("b", 2)]
    assert [asked.path for asked in server.requests] == ["/lists/a", "/things/a/1", "/lists/b", "/things/b/2"]


def failure(tmp_path: Path, client: HttpClient, target: Path, server: Events, **changes: Any) -> PlatformError:
    values = changes.pop("values", list(server.repos))
    with pytest.raises(PlatformError) as caught:
        fetch_window(client, api_of(tmp_path, source(server.origin, values, **changes)), DAY, target, tries=2)
    assert not target.exists()
    return caught.value


def test_one_pull_that_fails_fails_the_window_and_is_named(tmp_path: Path, client: HttpClient, target: Path) -> None:
    with Events() as server:
        refused = failure(tmp_path, client, target, server, values=["a/x", "gone"])
        assert isinstance(refused, SourceRefused)
        assert refused.message.startswith("repo 'gone': ")
        assert "404" in refused.message
        server.totals["b c"] = 2
        short = failure(tmp_path, client, target, server)
        assert isinstance(short, SourceRefused | StreamIncomplete)
        assert short.message.startswith("repo 'b c': ")
        server.totals.clear()
        server.repos["a/x"] = [1, 2, 2]  # the pages moved: one record is on no page
        moved = failure(tmp_path, client, target, server)
        assert "3 records in all, but 4 came" in moved.message or "more than once" in moved.message


def test_a_record_of_two_pulls_counts_once_and_a_contradiction_is_refused(
    tmp_path: Path, client: HttpClient, target: Path
) -> None:
    with Events() as server:
        declared = source(server.origin, list(REPOS), key="id")
        with pytest.raises(StreamIncomplete, match="two records of one window have id 1 and differ"):
            fetch_window(client, api_of(tmp_path, declared), DAY, target, tries=1)
        plain = declared | {"columns": declared["columns"][1:]}
        fetched = fetch_window(client, api_of(tmp_path, plain), DAY, target)
        assert (fetched.file.rows, fetched.file.deduplicated, fetched.tries) == (3, 1, 1)
        server.repos["b c"] = [1, 7, 1]  # here the pages moved, beside the record of two pulls
        with pytest.raises(StreamIncomplete, match="more than once: the pages moved"):
            fetch_window(client, api_of(tmp_path, plain), DAY, target, tries=1)


def test_rejects_are_reprocessed_with_the_values_of_their_pulls(
    tmp_path: Path, client: HttpClient, target: Path
) -> None:
    with Events(n="seven") as server:
        declared = source(server.origin, list(REPOS), columns=[{"name": "n", "type": "int64"}])
        fetch_window(client, api_of(tmp_path, declared), DAY, target, max_rejected=9)
        assert [reject.value for reject in read_quarantine(quarantine_path(target))] == ["a/x", "a/x", "a/x", "b c"]
        fixed = source(server.origin, ["other"], columns=[{"name": "n", "type": "int64", "path": "m"}], ignore=["n"])
    done = reprocess_quarantine(api_of(tmp_path, fixed), DAY, target)
    assert (done.recovered, done.rejected) == (4, 0)
    assert pairs(target) == ALL
    assert footer_of(target).values == 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "has no value of repo: nothing would be pulled, and the window would look empty"),
        (" \n\n", "has no value of repo"),
        ("a\nb\n\na\n", r"has 'a' twice, as values 1 and 4 of repo"),
        ("a\nb{start}\n", r"value 2 of repo in .*, 'b\{start\}', has \{start\}, which means another value"),
        ("a\nb\x07\n", "value 2 of repo in .* has a control character"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, why: str
) -> None:
    path = tmp_path / "repos.txt"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=why):
        api_of(tmp_path, source("http://127.0.0.1:9", {"file": str(path)}))
    monkeypatch.setenv("REPOS", content)
    with pytest.raises(ConfigurationError, match=why):
        api_of(tmp_path, source("http://127.0.0.1:9", {"env": "REPOS"}))


def test_a_file_that_cannot_be_read_and_a_variable_that_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"repos\.txt with the values of `for_each` cannot be read: .*No such"):
        api_of(tmp_path, source("http://127.0.0.1:9", {"file": "repos.txt"}))
    (tmp_path / "repos.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"cannot be read: .*utf-8"):
        api_of(tmp_path, source("http://127.0.0.1:9", {"file": "repos.txt"}))
    with pytest.raises(ConfigurationError, match="the environment variable UNSET_REPOS has no value of repo"):
        api_of(tmp_path, source("http://127.0.0.1:9", {"env": "UNSET_REPOS"}))
    (tmp_path / "repos.txt").write_text("1\nx\n")
    declared = source("http://127.0.0.1:9", {"file": "repos.txt"})
    declared["columns"][0]["type"] = "int64"
    with pytest.raises(ConfigurationError, match="a value of `for_each` does not fit: repo: 'x' is not an integer"):
        api_of(tmp_path, declared)


@pytest.mark.parametrize("value", ["..", "a/../b", "./a", "a/."])
def test_a_value_does_not_leave_its_path(tmp_path: Path, client: HttpClient, target: Path, value: str) -> None:
    with Events() as server:
        refused = failure(tmp_path, client, target, server, values=["a/x", value])
    assert f"repo '{value}': the value '{value}' would change the path of the URL" in refused.message
    assert {asked.path for asked in server.requests} == {"/repos/a/x/events"}


def test_a_header_cannot_hold_every_value(tmp_path: Path, client: HttpClient, target: Path) -> None:
    with Events() as server:
        refused = failure(tmp_path, client, target, server, values=["ü"], api={"headers": {"X-Repo": "{repo}"}})
    assert "the value 'ü' does not fit into a header, which is ASCII" in refused.message
    assert server.requests == []


def test_a_snapshot_may_have_several_pulls(tmp_path: Path, client: HttpClient, target: Path) -> None:
    with Events() as server:
        declared = source(server.origin, list(REPOS), ignore=["at"])
        columns = [
            *declared["columns"][:2],
            {"name": "at", "type": "timestamp", "from": "window_start", "required": True},
        ]
        api = {key: value for key, value in declared["api"].items() if key != "time"} | {"snapshot": True}
        fetch_window(client, api_of(tmp_path, declared | {"columns": columns, "api": api}), DAY, target)
    assert pairs(target) == ALL
    assert set(pq.read_table(target).column("at").to_pylist()) == {DAY.start}


def test_a_list_of_values_is_not_counted(tmp_path: Path, client: HttpClient) -> None:
    with Events() as server:
        assert count_records(client, api_of(tmp_path, source(server.origin, list(REPOS))), DAY) is None
    assert server.requests == []


class Forgetting(list[Asked]):
    """Requests that a server forgets."""

    def append(self, _: Asked) -> None:
        """Keep nothing."""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_values(tmp_path: Path, client: HttpClient, target: Path) -> None:
    first, last = 300, 300 + 2 * (BATCHES - 1)  # as many batches wait for their row group at both
    (tmp_path / "repos.txt").write_text("\n".join(f"r{number}" for number in range(last)))
    line = Answer(200, {"Content-Type": "application/x-ndjson"}, f'{{"id": 1, "at": "{AT}"}}\n'.encode())
    held: dict[int, int] = {}

    def progress(rows: int, _: int | None) -> None:
        if rows in {first, last}:
            gc.collect()
            held[rows] = tracemalloc.get_traced_memory()[0]

    with SmallServer(lambda _: line) as server:
        declared = source(server.origin, {"file": "repos.txt"})
        plain = {"format": "ndjson", "verification": "unverified"}
        kept = {key: value for key, value in declared["api"].items() if key not in {"paging", "total", "records"}}
        api = api_of(tmp_path, declared | {"api": kept | plain})
        server.requests = Forgetting()
        tracemalloc.start()
        fetched = fetch_window(client, api, DAY, target, progress=progress)
        tracemalloc.stop()
    assert fetched.file.rows == fetched.answers.pulls == last
    assert held[last] - held[first] < 200 * (last - first)  # bytes; the number of each pull's first row takes 80


def test_many_small_batches_of_a_row_group_are_one(tmp_path: Path) -> None:
    schema = api_of(tmp_path, source("http://127.0.0.1:9", ["a"])).schema
    row = pa.RecordBatch.from_pylist([{"repo": "a", "id": 1, "at": DAY.start}], arrow_schema(schema))
    with ParquetSink(tmp_path / "x.parquet", schema) as sink:
        for _ in range(3 * BATCHES):
            sink.write(row)
            assert len(sink._held) < BATCHES
    assert pq.read_table(tmp_path / "x.parquet").num_rows == sink.rows == 3 * BATCHES
