"""Which clients may use the emulator, and that even their SQL cannot use a file outside its folder."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest

from flows_platform.domain.errors import ConfigurationError, WarehouseUnavailable
from flows_platform.local.emulator import Emulator, running
from flows_platform.local.ports import free_port
from flows_platform.warehouse.warehouse import Warehouse, emulator_client

QUERIES = "/bigquery/v2/projects/local/queries"
JOBS = "/bigquery/v2/projects/local/jobs"
UPLOAD = "/upload/bigquery/v2/projects/local/jobs?uploadType=multipart"
CANARY = "canary-5a1f"
JSON = "application/json"


@dataclass(frozen=True)
class Asker:
    """A user of this machine, or a page in a user's browser, that sends requests to the emulator."""

    emulator: Emulator

    def ask(self, path: str, body: str | None = None, method: str = "POST", **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.emulator.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def with_key(self, path: str, body: object) -> tuple[int, str]:
        bearer = f"Bearer {self.emulator.key_file.read_text()}"
        return self.ask(path, json.dumps(body), Content_Type=JSON, Authorization=bearer)

    def query(self, sql: str, **more: object) -> tuple[int, str]:
        return self.with_key(QUERIES, {"query": sql, "useLegacySql": False, **more})

    def job(self, **configuration: object) -> str:
        """The answer to a job, once it has ended."""
        name = uuid4().hex
        body = {"jobReference": {"projectId": "local", "jobId": name}, "configuration": configuration}
        status, told = self.with_key(JOBS, body)
        if status != 200:
            return told
        with emulator_client(self.emulator.url, "local", "US", self.emulator.key_file) as client:
            job = client.get_job(name)
            job.done() or job._blocking_poll(timeout=60)
            return json.dumps([job.error_result, job.state])


@pytest.fixture
def asker(emulator: Emulator) -> Asker:
    return Asker(emulator)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder outside the emulator's, with a file in it; the test ends with a check that nothing changed there."""
    (tmp_path / "secret.csv").write_text(f"{CANARY},1\n")
    yield tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert (tmp_path / "secret.csv").read_text() == f"{CANARY},1\n"


def form(sql: str) -> tuple[str, str]:
    """Content type and body of an HTML form with enctype multipart/form-data, which needs no preflight."""
    job = json.dumps({"configuration": {"query": {"query": sql, "useLegacySql": False}}})
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{job}\r\n' for name in "ab")
    return "multipart/form-data; boundary=b", parts + "--b--\r\n"


def test_a_form_of_any_page_is_refused(asker: Asker, outside: Path) -> None:
    kind, body = form(f"EXPORT DATA OPTIONS(uri='{outside}/written.csv', format='CSV') AS SELECT 1")
    page = {"Origin": "http://evil.example", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert asker.ask(UPLOAD, body, Content_Type=kind, **page)[0] == 401
    assert asker.ask(UPLOAD, body, Content_Type=kind)[0] == 401


@pytest.mark.parametrize(
    "content_type", [JSON, "text/plain", f"text/plain;a={JSON}", "application/x-www-form-urlencoded"]
)
def test_a_query_without_the_key_is_refused_in_any_type(asker: Asker, content_type: str) -> None:
    status, told = asker.ask(QUERIES, json.dumps({"query": f"SELECT '{CANARY}'"}), Content_Type=content_type)
    assert status == 401
    assert CANARY not in told


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic x", "Bearer " + "A" * 43])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/bigquery/v2/projects"),
        ("GET", "/$discovery/rest"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("PUT", UPLOAD),
        ("OPTIONS", QUERIES),
        ("GET", "/nowhere"),
    ],
)
def test_no_path_is_open(asker: Asker, method: str, path: str, authorization: str) -> None:
    assert asker.ask(path, None, method, Authorization=authorization)[0] == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9050", "localhost.evil.example", "192.168.1.7"])
def test_another_name_is_refused_even_with_the_key(asker: Asker, host: str) -> None:
    bearer = f"Bearer {asker.emulator.key_file.read_text()}"
    assert asker.ask("/bigquery/v2/projects", None, "GET", Host=host, Authorization=bearer)[0] == 421
    assert asker.ask("/bigquery/v2/projects", None, "GET", Host="localhost:1", Authorization=bearer)[0] == 200


def test_a_preflight_allows_nothing(asker: Asker) -> None:
    connection = HTTPConnection("127.0.0.1", asker.emulator.port, timeout=60)
    connection.request("OPTIONS", QUERIES, headers={"Origin": "http://evil.example"})
    answer = connection.getresponse()
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    connection.close()


READS = [
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_csv_auto('{file}')",
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM read_text('{folder}/*')",
    "SELECT * FROM read_text('{data}/../../{name}/secret.csv')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM st_read('{file}')",
    "SELECT * FROM `{file}`",
    "SELECT * FROM '{file}'",
    "CREATE EXTERNAL TABLE t OPTIONS(format='CSV', uris=['file://{file}'])",
    "LOAD DATA INTO local.t FROM FILES(format='CSV', uris=['file://{file}'])",
    "COPY local.t FROM '{file}'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{file}' AS other",
    "CREATE TABLE local.t AS SELECT * FROM read_text('{file}')",
    "EXECUTE IMMEDIATE \"SELECT * FROM read_text('{file}')\"",
    "BEGIN SELECT * FROM read_text('{file}'); END",
    "SELECT * FROM read_csv('http://127.0.0.1:{port}/')",
    "SELECT * FROM EXTERNAL_QUERY('us.default', 'SELECT 1')",
]
WRITES = [
    "EXPORT DATA OPTIONS(uri='{folder}/written.csv', format='CSV') AS SELECT 1",
    "EXPORT DATA OPTIONS(uri='file://{folder}/deep/written.csv', format='CSV') AS SELECT 1",
    "EXPORT DATA OPTIONS(uri='file://{file}', format='CSV', overwrite=true) AS SELECT 1",
    "EXPORT DATA OPTIONS(uri='gs://../../../{name}/written.csv', format='CSV') AS SELECT 1",
    "EXPORT DATA OPTIONS(uri='gs://../../../{name}/written-*.parquet', format='PARQUET') AS SELECT 1",
    "COPY (SELECT 1) TO '{folder}/written.csv'",
    "EXPORT DATABASE '{folder}/written'",
    "ATTACH '{folder}/written.db' AS other",
    "CREATE SCHEMA `../../{name}/written.d`",
    "CREATE TABLE `../../{name}/written`.d.t AS SELECT 1 AS a",
    "SELECT * FROM `../../{name}/written`.d.t",
]
SWITCHES = [
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET lock_configuration = false",
    "PRAGMA enable_external_access",
    "RESET enable_external_access",
]


@pytest.mark.parametrize("sql", [*READS, *WRITES, *SWITCHES])
def test_sql_uses_no_file_outside(asker: Asker, outside: Path, sql: str) -> None:
    names = {"file": outside / "secret.csv", "folder": outside, "data": asker.emulator.data, "port": free_port()}
    status, told = asker.query(sql.format(name=outside.name, **names))
    assert status in {400, 403, 404, 500, 501}, told
    assert CANARY not in told
    assert "secret.csv:" not in told


def test_what_is_set_by_a_statement_stays_locked(asker: Asker, outside: Path) -> None:
    asker.query("SET enable_external_access = true; SET allowed_directories = ['/']")
    assert CANARY not in asker.query(f"SELECT * FROM read_text('{outside}/secret.csv')")[1]


@pytest.mark.parametrize(
    "uri", ["file://{file}", "{file}", "gs://../../../{name}/secret.csv", "gs://../../../{name}/*"]
)
def test_load_jobs_read_no_file_outside(asker: Asker, outside: Path, uri: str) -> None:
    source = uri.format(file=outside / "secret.csv", name=outside.name)
    table = {"projectId": "local", "datasetId": "local", "tableId": f"t{uuid4().hex}"}
    told = asker.job(
        load={"sourceUris": [source], "destinationTable": table, "sourceFormat": "CSV", "autodetect": True}
    )
    assert "DONE" not in told or "reason" in told
    assert CANARY not in told
    assert asker.query(f"SELECT * FROM local.{table['tableId']}")[0] != 200


def test_extract_jobs_write_no_file_outside(asker: Asker, outside: Path) -> None:
    name = f"t{uuid4().hex}"
    assert asker.query(f"CREATE TABLE local.{name} AS SELECT 1 AS a")[0] == 200
    table = {"projectId": "local", "datasetId": "local", "tableId": name}
    for uri in (f"file://{outside}/written.csv", f"{outside}/made/written.csv", f"gs://../../../{outside.name}/w.csv"):
        assert "reason" in asker.job(extract={"sourceTable": table, "destinationUris": [uri]})
        assert [path.name for path in outside.iterdir()] == ["secret.csv"]  # and no folder for it


def test_a_link_out_of_the_folder_is_not_followed(asker: Asker, outside: Path) -> None:
    bucket = asker.emulator.data / "gcs" / f"b{uuid4().hex}"
    bucket.mkdir(parents=True)
    (bucket / "link.csv").symlink_to(outside / "secret.csv")
    (bucket / "folder").symlink_to(outside)
    for place in (bucket / "link.csv", bucket / "folder" / "secret.csv"):
        assert CANARY not in asker.query(f"SELECT * FROM read_text('{place}')")[1]
    for name in ("link.csv", "folder/secret.csv"):
        table = {"projectId": "local", "datasetId": "local", "tableId": f"t{uuid4().hex}"}
        asker.job(load={"sourceUris": [f"gs://{bucket.name}/{name}"], "destinationTable": table, "autodetect": True})
        assert asker.query(f"SELECT * FROM local.{table['tableId']}")[0] != 200


@pytest.mark.parametrize("project", ["../x", "a/../../x", "/srv/x", "x\n", "x'; SELECT 1; --", ".."])
def test_a_project_is_a_name_and_no_path(asker: Asker, project: str) -> None:
    before = sorted(asker.emulator.data.parent.rglob("*"))
    status, told = asker.query("SELECT 1", defaultDataset={"projectId": project, "datasetId": "d"})
    assert status == 400
    assert "Invalid project ID" in told
    reference = {"datasetReference": {"projectId": project, "datasetId": "d"}}
    asker.with_key("/bigquery/v2/projects/..%2Fx/datasets", reference)
    after = [path for path in asker.emulator.data.parent.rglob("*") if path not in before]
    assert [path for path in after if path.suffix == ".ducklake" or path.is_dir()] == []


def test_its_own_clients_export_and_load_inside_of_the_folder(asker: Asker) -> None:
    bucket, table = f"b{uuid4().hex}", f"t{uuid4().hex}"
    export = f"EXPORT DATA OPTIONS(uri='gs://{bucket}/a/rows.csv', format='CSV') AS SELECT 7 AS a, 'ü' AS b"
    assert asker.query(export)[0] == 200
    reference = {"projectId": "local", "datasetId": "local", "tableId": table}
    uris = [f"gs://{bucket}/a/*"]
    told = asker.job(load={"sourceUris": uris, "destinationTable": reference, "autodetect": True, "skipLeadingRows": 1})
    assert json.loads(told) == [None, "DONE"]
    with emulator_client(asker.emulator.url, "local", "US", asker.emulator.key_file) as client:
        assert [tuple(row.values()) for row in client.query_and_wait(f"SELECT * FROM local.{table}")] == [(7, "ü")]


def test_a_sort_larger_than_memory_spills_into_the_folder(asker: Asker) -> None:
    sql = "SELECT SUM(a) AS s FROM (SELECT a FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a ORDER BY a DESC)"
    with emulator_client(asker.emulator.url, "local", "US", asker.emulator.key_file) as client:
        assert next(iter(client.query_and_wait(sql)))["s"] == 5_000_050_000


def test_another_project_is_made_at_first_use(asker: Asker) -> None:
    name = f"p{uuid4().hex}"
    with emulator_client(asker.emulator.url, name, "US", asker.emulator.key_file) as client:
        client.create_dataset("d")
        client.query_and_wait("CREATE TABLE d.t AS SELECT 3 AS a")
        assert next(iter(client.query_and_wait("SELECT a FROM d.t")))["a"] == 3


def test_a_client_with_another_key_is_told_which_setting_names_it(emulator: Emulator, tmp_path: Path) -> None:
    with emulator_client(emulator.url, "local", "US", tmp_path / "other.key") as client:
        stranger = Warehouse(client, "d", "US", tmp_path, attempts=1)
        with pytest.raises(ConfigurationError, match=r"other\.key.*FLOWS_EMULATOR_KEY_FILE") as caught:
            stranger.ping()
    assert (tmp_path / "other.key").read_text() not in str(caught.value)


def test_the_key_is_in_no_argument_and_no_log(emulator: Emulator) -> None:
    key = emulator.key_file.read_text()
    assert key not in " ".join(emulator.argv)
    assert key not in emulator.log.read_text()
    assert emulator.data not in emulator.key_file.parents  # where SQL reads


def test_only_one_port_is_opened_and_on_loopback(emulator: Emulator) -> None:
    assert listeners(emulator.key_file) == [("127.0.0.1", emulator.port)]


def listeners(mark: Path) -> list[tuple[str, int]]:
    """The address that the process with this path among its arguments listens on."""
    (pid,) = (path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if is_emulator(path, mark))
    sockets = {link.readlink().name for link in (pid / "fd").iterdir() if link.is_symlink()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in (pid / "net" / table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                address, port = words[1].split(":")
                host = ".".join(str(byte) for byte in reversed(bytes.fromhex(address))) if table == "tcp" else address
                found.append((host, int(port, 16)))
    return found


def is_emulator(path: Path, mark: Path) -> bool:
    try:
        words = path.read_text().split("\0")
    except OSError:
        return False
    return words[:2] == [sys.executable, "-m"] and str(mark) in words


@pytest.mark.slow
def test_a_home_behind_a_link_serves_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with running(Emulator.at(tmp_path / "link" / "its data")) as started:
        with emulator_client(started.url, "local", "US", started.key_file) as client:
            client.query_and_wait("CREATE TABLE local.t AS SELECT 1 AS a")
            assert next(iter(client.query_and_wait("SELECT a FROM local.t")))["a"] == 1
        asker = Asker(started)
        assert asker.query(f"SELECT * FROM read_text('{tmp_path}/real/its data.key')")[0] != 200
    with running(started), emulator_client(started.url, "local", "US", started.key_file) as client:
        assert next(iter(client.query_and_wait("SELECT a FROM local.t")))["a"] == 1


def test_nothing_answers_without_an_emulator(tmp_path: Path) -> None:
    absent = Emulator.at(tmp_path / "data")
    assert not absent.ready()
    with emulator_client(absent.url, "local", "US", absent.key_file) as client, pytest.raises(WarehouseUnavailable):
        Warehouse(client, "d", "US", tmp_path, attempts=1).ping()
