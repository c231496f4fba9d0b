"""Which clients may use the webserver and code server that `flows dev` starts; the right ones can use everything."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from flows_platform.cli.commands.dev import ui_address
from flows_platform.cli.commands.instance import open_instance
from flows_platform.cli.commands.services import code_socket, dagster_children
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import Settings, load_settings

pytestmark = pytest.mark.slow

JSON = "application/json"
MUTATION = "mutation { setNuxSeen }"
QUERY = "{ version }"
PROXY = "flows.example.com"
LINKED = "ui.example.com:8443"


@dataclass(frozen=True)
class Running:
    """A code server and a webserver in a home that any user may enter."""

    settings: Settings
    key: str

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.settings.dagster_port}"

    @property
    def cookie(self) -> str:
        return f"flows_key_{self.settings.dagster_port}={self.key}"

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[HTTPResponse, str]:
        connection = HTTPConnection("127.0.0.1", self.settings.dagster_port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            # A websocket that was accepted has no end to read to.
            return answer, "" if answer.status == 101 else answer.read().decode()
        finally:
            connection.close()

    def status(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> int:
        return self.ask(path, method, body, **headers)[0].status

    def post(self, query: str = MUTATION, **headers: str) -> tuple[HTTPResponse, str]:
        sent = {"Content_Type": JSON, "Cookie": self.cookie} | headers
        return self.ask("/graphql", "POST", json.dumps({"query": query}), **sent)

    def websocket(self, **headers: str) -> int:
        """The status of the answer to a handshake: 101 if it is accepted."""
        shake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        shake |= {"Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec_WebSocket_Protocol": "graphql-ws"}
        return self.status("/graphql", **shake | headers)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="flows-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir(mode=0o755)
    settings = load_settings(home=home, dagster_port=free_port(), allowed_hosts=PROXY, dagster_url=f"https://{LINKED}")
    variables = {"FLOWS_ALLOWED_HOSTS": PROXY, "FLOWS_DAGSTER_URL": f"https://{LINKED}"}
    with open_instance(settings), Supervisor() as supervisor:
        code, (web, _) = dagster_children(settings)
        supervisor.start(*(replace(child, env={**(child.env or {}), **variables}) for child in (code, web)))
        yield Running(settings, settings.files.dagster_key.read_text())
    shutil.rmtree(folder)


def test_the_ui_and_its_answers_are_there_for_who_has_the_key(running: Running) -> None:
    answer, page = running.ask("/", Cookie=running.cookie)
    assert answer.status == 200
    assert "_next/static" in page
    query = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
    answer, told = running.post(query)
    assert answer.status == 200
    assert json.loads(told)["data"]["workspaceOrError"]["locationEntries"] == [
        {"name": "flows_platform", "loadStatus": "LOADED"}
    ]


def test_programs_send_the_key_as_a_bearer_token(running: Running) -> None:
    bearer = {"Cookie": "", "Authorization": f"Bearer {running.key}"}
    answer, told = running.post(MUTATION, **bearer)
    assert (answer.status, json.loads(told)) == (200, {"data": {"setNuxSeen": True}})
    assert running.status("/graphql?query=%7Bversion%7D", **bearer) == 200
    assert running.websocket(**bearer) == 101


def test_the_browser_of_its_owner_acts(running: Running) -> None:
    page = {"Origin": running.origin, "Sec_Fetch_Site": "same-origin"}
    assert running.post(MUTATION, **page)[0].status == 200
    assert running.post(MUTATION, Content_Type=f"{JSON}; charset=utf-8", **page)[0].status == 200
    assert running.websocket(Cookie=running.cookie, **page) == 101
    assert running.status("/runs", Cookie=running.cookie, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200


@pytest.mark.parametrize("host", [PROXY, LINKED])
def test_behind_a_proxy_the_configured_names_are_its_own(running: Running, host: str) -> None:
    page = {"Origin": f"https://{host}", "Sec_Fetch_Site": "same-origin"}
    assert running.post(MUTATION, Host=host, **page)[0].status == 200
    assert running.post(MUTATION, **page)[0].status == 200  # a proxy that puts in its own Host header
    assert running.websocket(Host=host, Cookie=running.cookie, **page) == 101


def test_the_shown_address_gives_a_cookie_and_leaves_the_key_behind(running: Running) -> None:
    address = ui_address(running.settings)
    assert address == f"{running.origin}/?key={running.key}"
    answer, body = running.ask(address.removeprefix(running.origin), Sec_Fetch_Site="none")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert running.key not in body
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name == running.cookie
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(attributes)
    assert "Secure" not in attributes
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/assets/flows?view=plots&key={key}", "/assets/flows?view=plots"),
        ("/runs?key={key}&a=%2F%26b&c=", "/runs?a=%2F%26b&c="),
        ("//evil.example/?key={key}", "/evil.example/"),
        ("/%5Cevil.example/?key={key}", "/%5Cevil.example/"),
    ],
)
def test_a_page_deeper_down_keeps_its_address(running: Running, path: str, location: str) -> None:
    answer, _ = running.ask(path.format(key=running.key))
    assert (answer.status, answer.headers["Location"]) == (303, location)


@pytest.mark.parametrize("key", ["", "x", "A" * 43, "%00", "%FF" * 43])
def test_a_wrong_key_in_the_address_gives_nothing(running: Running, key: str) -> None:
    answer, _ = running.ask(f"/?key={key}")
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    assert running.status(f"/?key={key}", Cookie=running.cookie) == 200  # a parameter of a page may have that name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/assets/flows"),
        ("GET", "/graphql?query=%7Bversion%7D"),
        ("POST", "/graphql"),
        ("GET", "/dagit_info"),
        ("GET", "/favicon.png"),
        ("GET", "/logs/some/path"),
        ("GET", "/download_debug/some-run"),
        ("POST", "/report_asset_materialization/flows"),
        ("POST", "/report_asset_check/flows"),
        ("POST", "/server_info/"),
        ("GET", "/server_info/x"),
    ],
)
def test_without_the_key_only_the_versions_are_told(running: Running, method: str, path: str) -> None:
    answer, told = running.ask(path, method)
    assert answer.status == 401
    assert "FLOWS_HOME" in told
    wrong = {"Cookie": running.cookie[:-1] + "!", "Authorization": "Bearer x"}
    assert running.status(path, method, **wrong) == 401
    assert running.status("/server_info") == 200


def test_a_cookie_of_another_port_does_not_count(running: Running) -> None:
    assert running.status("/", Cookie=f"flows_key_1={running.key}") == 401


def test_a_websocket_without_the_key_is_refused(running: Running) -> None:
    assert running.websocket(Origin=running.origin) == 401


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:3000", "192.168.1.7", "x"])
def test_another_name_is_refused_on_every_path(running: Running, host: str) -> None:
    for path in ("/", "/server_info", f"/?key={running.key}", "/graphql?query=%7Bversion%7D"):
        assert running.status(path, Host=host, Cookie=running.cookie) == 421
    assert running.post(MUTATION, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0].status == 421
    assert running.websocket(Host=host, Origin=f"http://{host}", Cookie=running.cookie) == 421


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},  # another port is another origin, though it is the same site
    {"Origin": "http://localhost:{port}"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Origin": "file://"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_origin_may_not_act_even_with_the_key(running: Running, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=running.settings.dagster_port) for name, value in headers.items()}
    assert running.post(MUTATION, **sent)[0].status == 403
    assert running.websocket(Cookie=running.cookie, **sent) == 403
    report = "/report_asset_materialization/flows"
    assert running.status(report, "POST", Cookie=running.cookie, **sent) == 403
    assert running.status("/graphql", "OPTIONS", Cookie=running.cookie, **sent) == 403
    assert running.status("/graphql", "DELETE", Cookie=running.cookie, **sent) == 403


@pytest.mark.parametrize(
    "query",
    [MUTATION, "mutation M { setNuxSeen }", f"query Q {QUERY} mutation M {{ setNuxSeen }}", f"# {QUERY}\n{MUTATION}"],
)
def test_no_mutation_comes_by_get(running: Running, query: str) -> None:
    for operation in ({}, {"operationName": "M"}, {"operationName": "Q"}):
        path = "/graphql?" + urlencode({"query": query} | operation)
        answer, told = running.ask(path, Cookie=running.cookie)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert "setNuxSeen" not in told
    assert running.status(path, "HEAD", Cookie=running.cookie) == 405


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        f"text/plain;a={JSON}",
        f"text/plain; charset={JSON}",
        "application/x-www-form-urlencoded",
        f"multipart/form-data; boundary={JSON}",
        "application/graphql",
        f"{JSON}x",
        "Application/JSON",  # Dagster takes its operation from the address then
        "application/jsonp",
        f"{JSON}, text/plain",
        "",
    ],
)
def test_graphql_is_posted_as_json_alone(running: Running, content_type: str) -> None:
    assert running.post(MUTATION, Content_Type=content_type)[0].status == 415
    assert running.post(QUERY, Content_Type=content_type)[0].status == 415
    in_query = "/graphql?query=mutation%7BsetNuxSeen%7D"
    assert running.status(in_query, "POST", "", Cookie=running.cookie, Content_Type=content_type) == 415


def test_a_form_of_any_page_changes_nothing(running: Running) -> None:
    """What the page's owner's browser sends: the cookie goes along within a site, as SameSite leaves out the port."""
    page = {"Origin": "http://127.0.0.1:8000", "Sec_Fetch_Site": "same-site", "Cookie": running.cookie}
    form = f'{{"query": "{MUTATION}", "x": "='
    assert running.status("/graphql", "POST", form, Content_Type="text/plain", **page) == 403
    assert running.status("/report_asset_materialization/flows", "POST", "", **page) == 403


def test_no_other_page_shows_it_in_a_frame(running: Running) -> None:
    for path in ("/", "/runs/1", "/graphql"):
        headers = running.ask(path, Cookie=running.cookie, Accept="text/html")[0].headers
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_the_key_is_in_no_argument_and_no_log(running: Running) -> None:
    running.ask(f"/?key={running.key}")
    files = running.settings.files
    logs = "".join(path.read_text() for path in files.logs.glob("*.log"))
    assert running.key not in logs
    assert running.key not in (files.dagster / "workspace.yaml").read_text()
    assert stat.S_IMODE(files.dagster_key.stat().st_mode) == 0o600


# As root, since the interpreter may be where other users cannot read; it becomes another user before it tries.
STRANGER = """
import os, socket, sys
import dagster, dagster._grpc.client as client
path, user = sys.argv[1], int(sys.argv[2])
if user != os.getuid():
    os.setgroups([]); os.setgid(user); os.setuid(user)
probe = socket.socket(socket.AF_UNIX)
try:
    probe.connect(path)
except OSError as error:
    sys.exit(type(error).__name__)
code = client.DagsterGrpcClient(socket=path)
print(code.ping("hello")["echo"])
"""


def reached(running: Running, user: int) -> str:
    """The code server's answer to a process of that user, or the error."""
    arguments = [str(code_socket(running.settings)), str(user)]
    environment = {"DAGSTER_HOME": "", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


def test_the_code_server_is_there_for_its_user(running: Running) -> None:
    assert reached(running, os.getuid()) == "hello"


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_another_user_does_not_reach_the_code_server(running: Running) -> None:
    """StartRun names classes to load: a client that reaches it runs code as its user."""
    assert reached(running, 65534) == "PermissionError"


def test_the_code_server_has_no_port(running: Running) -> None:
    code, _ = dagster_children(running.settings)
    assert code.addresses == ()
    assert not {"--port", "--host"} & set(code.argv)
    folder = code_socket(running.settings).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    workspace = json.loads((running.settings.files.dagster / "workspace.yaml").read_text())
    (location,) = workspace["load_from"]
    assert location["grpc_server"].keys() == {"socket", "location_name"}
