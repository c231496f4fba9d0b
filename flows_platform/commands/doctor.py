"""`flows doctor`: each thing the platform needs, looked at; a failing line says the remedy."""

import os
from collections.abc import Callable

from flows_platform.access.private import make_home
from flows_platform.commands.children import HOST
from flows_platform.commands.terminal import say
from flows_platform.domain.errors import (
    ConfigurationError,
    PlatformError,
    SourceUnavailable,
    StorageError,
    WarehouseUnavailable,
)
from flows_platform.fetch.latest import ask_latest
from flows_platform.resources import build_resources
from flows_platform.settings import Settings, load_settings, unknown_variables
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.stores.sqlite_read import database_summary
from flows_platform.supervision.ports import Address


def run_doctor() -> bool:
    """Print a line per check; True if none failed.

    Raises:
        ConfigurationError: a setting is not allowed, so that nothing else can be looked at.
    """
    # A doctor does not wait: one try each, and short ones.
    settings = load_settings(connect_timeout=3.0, read_timeout=10.0, retry_attempts=1)
    failed = [name for name, check in CHECKS.items() if not _examine(name, check, settings)]
    return not failed


def _examine(name: str, check: Callable[[Settings], str], settings: Settings) -> bool:
    try:
        found = check(settings)
    except PlatformError as error:
        say(f"FAIL  {name}: {error}")
        return False
    say(f"ok    {name}: {found}")
    return True


def _settings(_: Settings) -> str:
    unknown = unknown_variables()
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)} is no setting.", remedy="Correct the name, or unset it; the README lists all."
        )
    return "all FLOWS_ variables are known and their values allowed"


def _home(settings: Settings) -> str:
    home = settings.files.home
    try:
        make_home(home)
    except OSError as error:
        raise StorageError(f"{home}: {error.strerror}.", remedy="Set FLOWS_HOME to a folder of yours.") from error
    if not os.access(home, os.W_OK):
        raise StorageError(f"{home} cannot be written.", remedy="Set FLOWS_HOME to a folder of yours.")
    return str(home)


def _raw_file(settings: Settings) -> str:
    if settings.raw_file is None:
        return f"none set; a sample of {settings.sample_rows:,} rows is generated"
    if not os.access(settings.raw_file, os.R_OK):
        raise ConfigurationError(
            f"{settings.raw_file} cannot be read.", remedy="Set FLOWS_RAW_FILE to LANL's flows.txt."
        )
    return f"{settings.raw_file}, {settings.raw_file.stat().st_size:,} bytes"


def _database(settings: Settings) -> str:
    summary = database_summary(settings.files.database, FLOWS)
    return f"{settings.files.database}, {summary.rows:,} rows, {summary.rejected:,} rejected"


def _api(settings: Settings) -> str:
    declaration = flows_windows(settings)
    fetch = build_resources(settings).fetch
    try:
        with fetch.client() as client:
            latest = ask_latest(client, declaration.api(), tries=fetch.tries)
    except SourceUnavailable as error:
        remedy = "Start it: `flows dev`, or `flows serve`; or set FLOWS_API_URL."
        raise SourceUnavailable(error.message, remedy=remedy) from error
    return f"{settings.stream_url}, {latest.records if latest else 0:,} records"


def _warehouse(settings: Settings) -> str:
    try:
        with build_resources(settings).warehouse.warehouse() as warehouse:
            warehouse.ping()
    except WarehouseUnavailable as error:
        if not settings.emulator_url:
            raise
        remedy = "Start it: `flows dev`; or set FLOWS_BIGQUERY_PROJECT for real BigQuery."
        raise WarehouseUnavailable(f"no emulator answers at {settings.emulator_url}.", remedy=remedy) from error
    return settings.emulator_url or f"project {settings.bigquery_project}, dataset {settings.bigquery_dataset}"


def _cves(settings: Settings) -> str:
    from flows_platform.sources.nvd_cves.database import place, reader  # noqa: PLC0415 - SQLAlchemy is for this line
    from flows_platform.sources.nvd_cves.store import CveStore  # noqa: PLC0415 - likewise

    if settings.sql_url is None and not settings.files.cves.exists():
        return f"{settings.files.cves} is not there yet; nvd_cve_tables and nvd_full_load make it"
    engine = reader(settings.cves_url)
    try:
        store = CveStore(engine)
        newest = store.newest()
        state = f"the last modified at {newest:%Y-%m-%dT%H:%M:%SZ}" if newest else "none modified yet"
        return f"{place(engine)}, {store.total():,} CVEs, {state}"
    finally:
        engine.dispose()


def _ports(settings: Settings) -> str:
    Address(HOST, settings.dagster_port, "FLOWS_DAGSTER_PORT").check_free("Dagster")
    return f"{settings.dagster_port} is free for Dagster"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "settings": _settings,
    "home folder": _home,
    "raw file": _raw_file,
    "database": _database,
    "API": _api,
    "warehouse": _warehouse,
    "CVE database": _cves,
    "ports": _ports,
}
