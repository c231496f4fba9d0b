"""Sources whose JSON records are arrays or members of an object, as a YAML declares them."""

import json
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError, SourceRefused
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.window_stream import WindowStream
from tests.fetch.declared_api import DAY, IDS, RECORDS, api_of, declared, ids

from .scripted import ScriptedServer, answer

ROWS = [[record["at"], record["id"]] for record in RECORDS]
SERIES = {
    "api": {"format": "json", "records": "data.result", "rows": "values", "names": ["t", "v"]},
    "columns": [
        {"name": "host", "path": "metric.host", "required": True},
        {"name": "at", "type": "timestamp", "path": "values.t", "written": "seconds", "required": True},
        {"name": "value", "type": "float64", "path": "values.v"},
    ],
    "name": "series",
    "time": "at",
    "key": ["host", "at"],
    "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
}
START = int(DAY.start.timestamp())


def series(folder: Path, url: str, **api: object) -> WindowedApi:
    keys = {"url": url, "time": {"after": "from", "before": "to", "before_inclusive": False}}
    return api_of(folder, {**SERIES, "api": {**SERIES["api"], **keys, **api}})  # type: ignore[dict-item]


def rows_and_rejects(client: HttpClient, api: WindowedApi) -> tuple[list[dict[str, object]], list[tuple[str, bytes]]]:
    rows: list[dict[str, object]] = []
    rejects: list[tuple[str, bytes]] = []
    for casted in WindowStream(FetchPlan(client, api, DAY)):
        rows += casted.batch.to_pylist()
        rejects += [(reject.reason, reject.raw) for reject in casted.rejects]
    return rows, rejects


def test_records_are_arrays_of_a_table(tmp_path: Path, client: HttpClient, server: ScriptedServer) -> None:
    columns = [{"name": "at", "type": "datetime"}, {"name": "id", "type": "long"}]
    table = {"name": "PrimaryResult", "columns": columns, "rows": [*ROWS[:2], [1], *ROWS[2:]]}
    server.scripts = [answer(json.dumps({"tables": [table, {"name": "other", "rows": [["x"]]}]}).encode())]
    keys = {"records": "tables[0].rows", "names": "tables[0].columns[].name"}
    rows, rejects = rows_and_rejects(client, declared(tmp_path, server.url, **keys))
    assert [row["id"] for row in rows] == IDS
    assert rejects == [("1 values, but there are 2 names", b"[1]")]


def test_rows_are_arrays_in_records(tmp_path: Path, client: HttpClient, server: ScriptedServer) -> None:
    result = [
        {"metric": {"host": f"h{number}"}, "values": [[START + number, "1.5"], [START + 10.25, "2"], [START]]}
        for number in range(2)
    ]
    server.scripts = [answer(json.dumps({"status": "success", "data": {"result": result}}).encode())]
    rows, rejects = rows_and_rejects(client, series(tmp_path, server.url))
    assert [(row["host"], row["value"]) for row in rows] == [("h0", 1.5), ("h0", 2), ("h1", 1.5), ("h1", 2)]
    assert [reason for reason, _ in rejects] == ["1 values, but there is another number of names"] * 2
    assert json.loads(rejects[0][1]) == {"metric": {"host": "h0"}, "values": [[START]]}


def test_names_in_the_record_are_not_fields(tmp_path: Path, client: HttpClient, server: ScriptedServer) -> None:
    head = {"columns": [{"name": "t"}, {"name": "v"}], "metric": {"host": "h"}}
    document = {"data": {"result": [{**head, "values": [[START, 1]]}, {"metric": {"host": "none"}}]}}
    server.scripts = [answer(json.dumps(document).encode())]
    rows, rejects = rows_and_rejects(client, series(tmp_path, server.url, names="columns[].name"))
    assert [(row["host"], row["value"]) for row in rows] == [("h", 1)]
    assert rejects == []


def test_series_without_rows_may_not_have_other_lists(
    tmp_path: Path, client: HttpClient, server: ScriptedServer
) -> None:
    instant = {"data": {"result": [{"metric": {"host": "h"}, "value": [START, "1"]}]}}
    server.scripts = [answer(json.dumps(instant).encode())]
    with pytest.raises(SourceRefused, match=r"no record has 'values', .* there are lists at value\."):
        rows_and_rejects(client, series(tmp_path, server.url))


@pytest.mark.parametrize("document", [{"code": "none", "message": "no"}, {"message": "no", "code": "none"}])
def test_a_document_of_members_may_be_an_error(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, document: dict[str, str]
) -> None:
    keys = {"records": "", "record_key": "id", "errors": {"message": "message", "code": "code"}}
    server.scripts = [answer(json.dumps(document).encode())]
    assert ids(client, declared(tmp_path, server.url, **keys, nothing=[{"code": "none"}])) == []
    with pytest.raises(SourceRefused, match="the API answers with an error none: no"):
        ids(client, declared(tmp_path, server.url, **keys))


@pytest.mark.parametrize("path", ["data", ""])
def test_records_are_members_of_an_object(
    tmp_path: Path, client: HttpClient, server: ScriptedServer, path: str
) -> None:
    members = {str(record["id"]): {"at": record["at"]} for record in RECORDS}
    server.scripts = [answer(json.dumps({"data": members, "of": 5} if path else members).encode())]
    assert ids(client, declared(tmp_path, server.url, records=path, record_key="id")) == IDS


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"format": "csv", "names": ["a"]}, "api.names: the format is csv; only json and ndjson have such records"),
        ({"format": "ndjson", "names": "a"}, "api.names: a line has no names around it"),
        ({"format": "csv", "record_key": "id"}, "api.record_key: the format is csv; only json"),
        ({"names": ["id", "at"], "record_key": "id"}, "api.record_key: the records are arrays"),
        ({"names": ["id", "id"]}, "api.names: names must be distinct"),
        ({"names": []}, "api.names: names must be distinct, and at least one"),
        ({"records": "a[].b"}, r"api.records: 'a\[\].b' leads to several values"),
        ({"records": "a..b"}, r"api.records: 'a..b' is not a path"),
    ],
)
def test_keys_that_do_not_fit_are_faults(tmp_path: Path, keys: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        declared(tmp_path, "https://host.example/x", **keys)
