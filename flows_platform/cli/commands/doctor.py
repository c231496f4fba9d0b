"""`flows doctor`: checks what the platform needs; the line of a failed check gives the remedy."""

import json
import os
from functools import partial
from http.client import HTTPException
from tempfile import TemporaryFile

from flows_platform.access.private import make_home
from flows_platform.cli.commands.doctor_sources import Check, source_checks
from flows_platform.cli.commands.services import HOST
from flows_platform.cli.commands.terminal import say
from flows_platform.components.catalog import Catalog, read_catalog
from flows_platform.components.source_files import SHIPPED, source_files
from flows_platform.domain.errors import (
    ConfigurationError,
    PlatformError,
    ProcessFailed,
    SourceRefused,
    SourceUnavailable,
    StorageError,
    WarehouseUnavailable,
)
from flows_platform.fetch.latest import ask_latest
from flows_platform.flow_database.read import database_summary
from flows_platform.local.own_servers import asked
from flows_platform.local.ports import Address, listens
from flows_platform.orchestration.resources import build_resources
from flows_platform.runtime.locks import is_held
from flows_platform.settings import Settings, allowed_settings, load_settings, unknown_variables
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows

ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not bound

LONGEST = 10.0  # seconds that an answer may take

TRIED_BYTES = 1 << 20  # written to see whether the disk takes them


def run_doctor(*, requests: bool = True) -> int:
    """Print a line per check, also after failed ones, and how many failed; returns that number.

    Raises:
        ConfigurationError: after all lines, if the value of a setting is not allowed; the checks used its default.
    """
    # A doctor does not wait: every call has one try, and a short one.
    # guard: a doctor that goes on
    settings = allowed_settings(connect_timeout=3.0, read_timeout=LONGEST, retry_attempts=1, publish_deadline=LONGEST)
    checks = _checks(settings, requests=requests)
    failed = [name for name, check in checks.items() if not _examine(name, check, settings)]
    say(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}." if failed else "All checks passed.")
    load_settings()
    return len(failed)


def _examine(name: str, check: Check, settings: Settings) -> bool:
    try:
        found = check(settings)
    except Exception as error:  # noqa: BLE001 - the other checks run all the same
        message = str(error) if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        say(f"FAIL  {name}: {' '.join(message.split())}")  # on one line
        return False
    say(f"ok    {name}: {found}")
    return True


def _settings(_: Settings) -> str:
    try:
        load_settings()
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.message}{_unknown()}", remedy=error.remedy) from error
    if unknown := _unknown():
        raise ConfigurationError(
            unknown.strip(), remedy="Correct the name, or unset it; docs/reference/settings.md lists all."
        )
    return "all FLOWS_ variables are known and their values allowed"


def _unknown() -> str:
    return "".join(f" {name} is not a setting." for name in unknown_variables())


def _home(settings: Settings) -> str:
    home = settings.files.home
    try:
        make_home(home)
        with TemporaryFile(dir=home) as file:  # permissions do not show a full or read-only disk
            file.write(bytes(TRIED_BYTES))
    except OSError as error:
        raise StorageError(
            f"{home} cannot be written: {error.strerror}.",
            remedy="Free space there, or set FLOWS_HOME to a folder that you own.",
        ) from error
    return str(home)


def _raw_file(settings: Settings) -> str:
    if settings.raw_file is None:
        return f"none set; a sample of {settings.sample_rows:,} rows is generated"
    if not settings.raw_file.is_file() or not os.access(settings.raw_file, os.R_OK):
        raise ConfigurationError(
            f"{settings.raw_file} is not a file that can be read.", remedy="Set FLOWS_RAW_FILE to LANL's flows.txt."
        )
    return f"{settings.raw_file}, {settings.raw_file.stat().st_size:,} bytes"


def _database(settings: Settings) -> str:
    if not settings.files.database.exists():
        return f"{settings.files.database} does not exist yet; `flows dev` builds it"
    summary = database_summary(settings.files.database, FLOWS)
    return f"{settings.files.database}, {summary.rows:,} rows, {summary.rejected:,} rejected"


def _api(settings: Settings) -> str:
    if not settings.api_url and not _is_up(settings, "the API server", _api_address(settings)):
        return f"not running yet; `flows dev` starts it at {settings.api_base}"
    table = flows_windows(settings)
    fetch = build_resources(settings).fetch
    try:
        api = table.api()
        with fetch.client(api) as client:
            latest = ask_latest(client, api, tries=fetch.tries)
    except (SourceUnavailable, SourceRefused) as error:
        remedy = "Set FLOWS_API_URL to an API that answers." if settings.api_url else _other(settings, "FLOWS_API_PORT")
        refused = error.remedy if isinstance(error, SourceRefused) else None  # it may be about tokens
        raise SourceUnavailable(error.message, remedy=refused or remedy) from error
    return f"{settings.stream_url}, {latest.records if latest else 0:,} records"


def _api_address(settings: Settings) -> Address:
    return Address(settings.api_host, settings.api_port, "FLOWS_API_PORT")


def _warehouse(settings: Settings) -> str:
    address = Address(HOST, settings.emulator_port, "FLOWS_EMULATOR_PORT")
    if settings.emulator_url and not _is_up(settings, "the emulator", address):
        return f"not running yet; `flows dev` starts the emulator at {settings.emulator_url}"
    try:
        with build_resources(settings).warehouse.warehouse() as warehouse:
            warehouse.ping()
    except (PlatformError, ValueError) as error:  # ValueError: another program answered, which the client cannot read
        if not settings.emulator_url:
            raise
        cause = error.message if isinstance(error, PlatformError) else str(error)
        message = f"the program at {settings.emulator_url} does not answer as the emulator of this home does ({cause})."
        raise WarehouseUnavailable(message, remedy=_other(settings, "FLOWS_EMULATOR_PORT")) from error
    return settings.emulator_url or f"project {settings.bigquery_project}, dataset {settings.bigquery_dataset}"


def _dagster(settings: Settings) -> str:
    if not _is_up(settings, "Dagster's UI", Address(HOST, settings.dagster_port, "FLOWS_DAGSTER_PORT")):
        return f"not running yet; `flows dev` starts its UI at port {settings.dagster_port}"
    address = f"http://{HOST}:{settings.dagster_port}"
    try:
        with asked(f"{address}/server_info", timeout=settings.read_timeout) as answer:
            version = json.load(answer)["dagster_webserver_version"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        message = f"the program at {address} does not answer as Dagster's UI does ({type(error).__name__}: {error})."
        raise ProcessFailed(message, remedy=_other(settings, "FLOWS_DAGSTER_PORT")) from error
    if not _runs(settings):
        message = f"the UI at {address} belongs to another home than {settings.files.home}."
        raise ProcessFailed(message, remedy=_other(settings, "FLOWS_DAGSTER_PORT"))
    return f"{address}, version {version}"


def _is_up(settings: Settings, what: str, address: Address) -> bool:
    """Whether something listens at `address`.

    Raises:
        ProcessFailed: nothing listens, although the platform runs in this home.
    """
    host = HOST if address.host == ANY_HOST else address.host
    # guard: a doctor that is green beside nothing
    if listens(address.port, host):
        return True
    if _runs(settings):
        message = f"{what} does not answer at {host}:{address.port}, although the platform runs."
        raise ProcessFailed(message, remedy=f"Look into {settings.files.logs}; it may still be starting.")
    return False


def _runs(settings: Settings) -> bool:
    """Whether the platform runs in this home."""
    return is_held(settings.files.dagster / "dagster.lock")


def _other(settings: Settings, setting: str) -> str:
    """The remedy if a port gives no usable answer, or that of another program."""
    if _runs(settings):
        return f"Look into {settings.files.logs}; if another program uses the port, set {setting} to another."
    return f"Stop what uses the port, or set {setting} to another."


def _sources(settings: Settings, catalog: Catalog | None = None) -> str:
    tables, faults = catalog or read_catalog(settings)
    if faults:
        raise ConfigurationError(" ".join(fault.message for fault in faults))
    return f"{len(tables)} tables are declared: {', '.join(table.table.name for table in tables)}"


def _cves(settings: Settings) -> str:
    from flows_platform.sources.nvd_cves.store import CveStore
    from flows_platform.sql.engines import database_name, reader

    if settings.sql_url is None and not settings.files.cves.exists():
        return f"{settings.files.cves} does not exist yet; nvd_cve_tables and nvd_full_load make it"
    engine = reader(settings.cves_url)
    try:
        store = CveStore(engine)
        newest = store.newest()
        state = f"the last modified at {newest:%Y-%m-%dT%H:%M:%SZ}" if newest else "none modified yet"
        return f"{database_name(engine)}, {store.total():,} CVEs, {state}"
    finally:
        engine.dispose()


def _checks(settings: Settings, *, requests: bool) -> dict[str, Check]:
    """The lines that concern the project's sources, which are read once."""
    try:
        found = source_files(settings)
        catalog = read_catalog(settings, found)
        of_sources = source_checks(settings, catalog, requests=requests)
    except ConfigurationError:  # which the line on sources says
        return CHECKS
    absent = [name for source, names in OF_SOURCES.items() if SHIPPED[source] not in found.files for name in names]
    checks = CHECKS | {"sources": partial(_sources, catalog=catalog)}
    return {name: check for name, check in checks.items() if name not in absent} | of_sources


# The lines of shipped sources; a project without the source does without them.
OF_SOURCES = {"lanl_flows": ["raw file", "database", "API"], "nvd_cves": ["CVE database"]}
CHECKS: dict[str, Check] = {
    "settings": _settings,
    "home folder": _home,
    "sources": _sources,
    "raw file": _raw_file,
    "database": _database,
    "API": _api,
    "warehouse": _warehouse,
    "CVE database": _cves,
    "Dagster": _dagster,
}
