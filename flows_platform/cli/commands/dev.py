"""`flows dev`: API server, emulator and Dagster as one system, until Ctrl-C."""

import os
from contextlib import suppress
from datetime import UTC, datetime

from api_server.reports.pages import paths as pages
from flows_platform.access.key import installation_key
from flows_platform.access.private import PRIVATE
from flows_platform.cli.commands.child_output import NotableLines
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.instance import open_instance, report_success, run_job
from flows_platform.cli.commands.services import HOST, api_child, dagster_children, emulator_child
from flows_platform.cli.commands.simulated_clock import check_home, started
from flows_platform.cli.commands.terminal import say
from flows_platform.cli.commands.webserver_guard import KEY
from flows_platform.components.loader import REPORT, WEBHOOK
from flows_platform.components.source_files import asks_for, declares
from flows_platform.components.webhook_files import read_webhooks
from flows_platform.domain.errors import ConfigurationError, ProcessFailed
from flows_platform.local.child import ChildProcess
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.loading import build_definitions


def run_dev(speed: float | None = None) -> None:
    """Start everything, print the addresses, restart what crashes, until Ctrl-C; `speed` is the simulated clock's.

    Raises:
        ConfigurationError: a port or the home folder is in use, or the home cannot have a simulated clock.
        ProcessFailed: a process did not start, or crashed too often.
    """
    settings = load_settings(**({} if speed is None else {"simulated_speed": speed}))
    os.umask(PRIVATE)  # child processes inherit it: runs write files with the credentials of this user
    _check_clock(settings)
    check_home(settings)
    emulator = [emulator_child(settings)] if settings.emulator_url else []
    for child in (*emulator, *_servers(settings)):
        child.check_ports()  # before the database is built, which takes minutes
    with Supervisor(sink=NotableLines(_print)) as supervisor, suppress(KeyboardInterrupt):
        try:
            if emulator:
                console.print("Starting the BigQuery emulator.")
            launched = supervisor.launch(*emulator)  # first: its lock shows whether another process uses the home
            _prepare(settings)
            console.print("Starting the API server and Dagster." if _has_api(settings) else "Starting Dagster.")
            settings = started(settings, datetime.now(UTC))
            code, clients = dagster_children(settings)
            supervisor.await_ready(*launched, *supervisor.launch(*_api(settings), code))
            supervisor.start(*clients)
            _say_addresses(settings)
            supervisor.keep(say)
        finally:
            console.print("Stopping everything.")


def _has_flows(settings: Settings) -> bool:
    """Whether the project has the flows: a sample or raw file to load."""
    return asks_for(settings, "lanl_flows")


def _has_reports(settings: Settings) -> bool:
    return declares(settings, REPORT.component)


def _has_api(settings: Settings) -> bool:
    """Whether the project has something that our own API server serves."""
    return _has_flows(settings) or _has_reports(settings) or declares(settings, WEBHOOK.component)


def _api(settings: Settings) -> list[ChildProcess]:
    return [api_child(settings)] if _has_api(settings) else []


def _hooks(settings: Settings) -> list[str]:
    """The paths at which the project's webhooks are received."""
    return [path for webhook in read_webhooks(settings).webhooks for path in webhook.paths]


def _servers(settings: Settings) -> list[ChildProcess]:
    """API server, Dagster's code server, and the processes that need it."""
    code, clients = dagster_children(settings)
    return [*_api(settings), code, *clients]


def _prepare(settings: Settings) -> None:
    """Create the instance, and the database if there is none: without it the API has no flows to serve."""
    with open_instance(settings) as instance:
        if settings.files.database.exists() or not _has_flows(settings):
            return
        what = settings.raw_file or f"a generated sample of {settings.sample_rows:,} rows"
        console.print(f"No database yet: building it from {what}.")
        title = "Raw file to database"
        done = run_job(build_definitions(settings), instance, "flows_database_job", title=title, materializations=4)
        if not report_success(done):
            raise ProcessFailed("the database could not be built.", remedy="The reason is above.")


def _say_addresses(settings: Settings) -> None:
    warehouse = settings.emulator_url or f"BigQuery project {settings.bigquery_project}"
    say(f"Dagster UI    {ui_address(settings)}")
    if _has_api(settings):
        say(f"API           {settings.api_base}/")
    if _has_reports(settings):
        say(f"Reports       {settings.api_base}{pages.LIST}")
    for path in _hooks(settings):
        say(f"Webhook       {settings.api_base}{path}")
    say(f"Warehouse     {warehouse}, dataset {settings.bigquery_dataset}")
    if clock := settings.clock:
        say(f"Clock         {clock.speed:g} times as fast as real time, second 0 was at {clock.start:%FT%TZ}")
    say(f"Files         {settings.files.home}")
    say(f"Logs          {settings.files.logs} (warnings and errors are shown here too)")
    say("Ctrl-C stops everything.")


def ui_address(settings: Settings) -> str:
    """The UI's address, with the key that a browser exchanges for a cookie."""
    return f"http://{HOST}:{settings.dagster_port}/?{KEY}={installation_key(settings.files.dagster_key)}"


def _check_clock(settings: Settings) -> None:
    """Refuse a simulated clock in a project without the flows, which alone follow it.

    Raises:
        ConfigurationError: a speed is set, and lanl_flows is not one of the sources.
    """
    if settings.simulated_speed and not _has_flows(settings):
        raise ConfigurationError(
            "a simulated clock drives the flows, and lanl_flows is not one of the sources.",
            remedy="Add lanl_flows to FLOWS_SOURCES, or start without --simulate.",
        )


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
