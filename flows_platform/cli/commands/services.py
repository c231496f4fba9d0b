"""The processes of the platform, as children of a supervisor: how they are started and when they are ready."""

import json
import sys
import sysconfig
from pathlib import Path
from urllib.error import URLError

from flows_platform.access.private import make_home, private_folder, socket_path
from flows_platform.cli.commands.code_server import reaches_definitions
from flows_platform.cli.commands.instance import fail_abandoned_runs, open_instance
from flows_platform.components.source_files import asks_for
from flows_platform.local.child import ChildProcess
from flows_platform.local.emulator import Emulator
from flows_platform.local.own_servers import asked
from flows_platform.local.ports import Address, listens
from flows_platform.settings import EMULATOR_PROJECT, Settings

HOST = "127.0.0.1"
LOCATION = "flows_platform"
API_READY_TIMEOUT = 120.0  # seconds; it reads the sources and checks every report first


def emulator_child(settings: Settings) -> ChildProcess:
    """The local BigQuery emulator."""
    return Emulator(
        data=settings.files.emulator,
        port=settings.emulator_port,
        key_file=settings.emulator_key,
        log=settings.files.logs / "emulator.log",
        project=EMULATOR_PROJECT,
    ).child()


def api_child(settings: Settings) -> ChildProcess:
    """Our own API server; over the database of flows, if the project has them."""
    hosts = ("--allowed-hosts", settings.allowed_hosts) if settings.allowed_hosts else ()
    database = ("--database", str(settings.files.database)) if asks_for(settings, "lanl_flows") else ()
    options = (
        *database,
        *("--host", settings.api_host, "--port", str(settings.api_port)),
        *hosts,
        *_clock_options(settings),
    )
    return ChildProcess(
        name="api",
        argv=(sys.executable, "-m", "flows_platform", "serve", *options),
        env=_api_environment(settings),
        log=settings.files.logs / "api.log",
        ready=lambda: _answers(f"{settings.api_base}/healthz"),
        addresses=(Address(settings.api_host, settings.api_port, "FLOWS_API_PORT"),),
        ready_timeout=API_READY_TIMEOUT,
    )


def _api_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with what the server needs to find reports and their warehouse."""
    given = {
        "FLOWS_SOURCES": ",".join(settings.sources),
        "FLOWS_BIGQUERY_PROJECT": settings.bigquery_project,
        "FLOWS_BIGQUERY_DATASET": settings.bigquery_dataset,
        "FLOWS_EMULATOR_PORT": str(settings.emulator_port),
        "FLOWS_EMULATOR_KEY_FILE": str(settings.emulator_key),
    }
    return {**settings.child_environment(), **given}


def _clock_options(settings: Settings) -> tuple[str, ...]:
    clock = settings.clock
    if clock is None:
        return ()
    late = ("--late-share", str(settings.late_share), "--late-minutes", str(settings.late_minutes))
    return ("--simulate", str(clock.speed), "--simulated-start", clock.start.isoformat(), *late)


def dagster_children(settings: Settings) -> tuple[ChildProcess, list[ChildProcess]]:
    """Dagster's code server, and the webserver and daemon that need it."""
    environment = settings.child_environment()
    socket = code_socket(settings)
    workspace = ("--workspace", str(_write_workspace(settings)))
    code = ChildProcess(
        name="code",
        argv=(
            *(_script("dagster"), "code-server", "start", "--module-name", "flows_platform.definitions"),
            *("--socket", str(socket), "--location-name", LOCATION, "--log-level", "warning"),
        ),
        env=environment,
        log=settings.files.logs / "code.log",
        ready=lambda: listens(socket),
        serves=lambda: reaches_definitions(f"unix:{socket}"),
        lock=settings.files.dagster / "dagster.lock",
        prepare=lambda: _tidy(settings),
    )
    web = ChildProcess(
        name="ui",
        argv=(
            *(sys.executable, "-m", "flows_platform.cli.commands.webserver"),
            *("--host", HOST, "--port", str(settings.dagster_port), *workspace, "--log-level", "warning"),
        ),
        env=environment,
        log=settings.files.logs / "ui.log",
        ready=lambda: _answers(f"http://{HOST}:{settings.dagster_port}/server_info"),
        addresses=(Address(HOST, settings.dagster_port, "FLOWS_DAGSTER_PORT"),),
    )
    daemon = ChildProcess(
        name="daemon",
        argv=(_script("dagster-daemon"), "run", *workspace, "--log-level", "warning"),
        env=environment,
        log=settings.files.logs / "daemon.log",
    )
    return code, [web, daemon]


def code_socket(settings: Settings) -> Path:
    """The code server's socket. The server runs any code that it is asked to, so no other user may reach it."""
    return socket_path(settings.files.home, "code.sock")


def _tidy(settings: Settings) -> None:
    """Fail abandoned runs: runs are processes of the code server's group, so none is alive before it starts."""
    # guard: the code server's folder is private
    private_folder(code_socket(settings).parent)
    with open_instance(settings) as instance:
        fail_abandoned_runs(instance)


def _write_workspace(settings: Settings) -> Path:
    path = settings.files.dagster / "workspace.yaml"
    make_home(settings.files.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    server = {"socket": str(code_socket(settings)), "location_name": LOCATION}
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
    return path


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _answers(url: str) -> bool:
    try:
        with asked(url, timeout=5.0) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (URLError, ConnectionError, TimeoutError):
        return False
