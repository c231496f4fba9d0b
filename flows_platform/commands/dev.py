"""`flows dev`: API server, emulator and Dagster as one system, until Ctrl-C."""

from flows_platform.commands.children import HOST, api_child, dagster_children, emulator_child
from flows_platform.commands.instance import open_instance, run_job, told_success
from flows_platform.commands.terminal import console, say
from flows_platform.definitions import build_definitions
from flows_platform.domain.errors import ProcessFailed
from flows_platform.processes import Supervisor
from flows_platform.settings import Settings, load_settings


def run_dev() -> None:
    """Start everything, say where it is, and stay until Ctrl-C or until one of it ends.

    Raises:
        ConfigurationError: a port is taken.
        ProcessFailed: a process did not start, or ended.
    """
    settings = load_settings()
    with Supervisor(sink=_print) as supervisor:
        if settings.emulator_url:
            supervisor.start(emulator_child(settings))
        _prepare(settings)
        code, others = dagster_children(settings)
        supervisor.start(api_child(settings), code)
        supervisor.start(*others)
        _tell_addresses(settings)
        ended = supervisor.wait()
        if ended:
            raise ProcessFailed(f"{ended.child.name} ended.", remedy=f"Its log is {ended.child.log}.")


def _prepare(settings: Settings) -> None:
    """Make the instance; and the database where there is none yet, since the API has nothing to serve without it."""
    with open_instance(settings) as instance:
        if settings.files.database.exists():
            return
        what = settings.raw_file or f"a generated sample of {settings.sample_rows:,} rows"
        console.print(f"No database yet: building it from {what}.")
        title = "Raw file to database"
        done = run_job(build_definitions(settings), instance, "flows_database_job", title=title, materializations=4)
        if not told_success(done):
            raise ProcessFailed("the database could not be built.", remedy="The reason stands above.")


def _tell_addresses(settings: Settings) -> None:
    warehouse = settings.emulator_url or f"BigQuery project {settings.bigquery_project}"
    say(f"Dagster UI    http://{HOST}:{settings.dagster_port}")
    say(f"API           {settings.api_base}/")
    say(f"Warehouse     {warehouse}, dataset {settings.bigquery_dataset}")
    say(f"Files, logs   {settings.files.home}")
    say("Ctrl-C stops everything.")


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
