"""All settings. The only module that reads the environment (`FLOWS_…`) or knows the paths of files on disk."""

import json
import os
import re
import tomllib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from flows_platform.access.hosts import host_names, in_url
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.simulated_clock import SimulatedClock
from flows_platform.domain.verification import Verification
from flows_platform.flow_database.replacement import MAX_REJECTED_SHARE, MAX_SHRINK
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.runtime.old_names import say_renamed

PREFIX = "FLOWS_"
AUTO = "auto"
PROJECT_FILE = "pyproject.toml"
EMULATOR_PROJECT = "local"
# Renamed variables, and the settings that they became.
OLD_NAMES = {
    "FLOWS_REPLAY": "simulated_speed",
    "FLOWS_REPLAY_START": "simulated_start",
    "FLOWS_WEBHOOK_URL": "notification_url",
}
LEVELS = (Verification.COUNT.word, Verification.DIGEST.word)  # that our own server offers


def _in_utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _on_the_grid(epoch: datetime) -> datetime:
    epoch = _in_utc(epoch)
    if epoch != epoch.replace(hour=epoch.hour // 3 * 3, minute=0, second=0, microsecond=0):
        raise ValueError("must be on a three-hour mark of the UTC day, such as 2014-01-01T00:00:00Z")
    return epoch


def _known_format(value: str) -> str:
    if value not in {AUTO, *WireFormat}:
        raise ValueError(f"must be one of {', '.join([*WireFormat, AUTO])}")
    return value


def _known_level(value: str) -> str:
    if value not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return value


def _known_hosts(value: str) -> str:
    try:
        host_names(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    return value


def _entries(given: object) -> object:
    return tuple(filter(None, map(str.strip, re.split("[,:]", given)))) if isinstance(given, str) else given


Port = Annotated[int, Field(ge=1, le=65535)]


def _variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


class Settings(BaseModel):
    """All settings with their defaults. The variable of a setting is `FLOWS_` + its name in capitals.

    Arguments win over the environment. Two lines here read it: pydantic-settings, which also reads files, arguments and
    clouds, takes .1 CPU-seconds to import.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(Path(".flows"), description="Folder of all files the platform writes.")
    sources: Annotated[tuple[str, ...], BeforeValidator(_entries)] = Field(
        (),
        description="Folders, files and shipped names (`lanl_flows`, `nvd_cves`, …) of sources, by commas or colons; "
        "by default those of `[tool.flows_platform]` in ./pyproject.toml, or else all that are shipped.",
    )
    raw_file: Path | None = Field(
        None, description="LANL's flows.txt, plain or as gzip, bzip2, xz or zip; by default a sample is generated."
    )
    max_raw_rejected_share: float = Field(
        MAX_REJECTED_SHARE,
        ge=0,
        le=1,
        description="Share of rejected lines above which the old clean file and database are kept.",
    )
    max_raw_shrink: float = Field(
        MAX_SHRINK,
        ge=0,
        le=1,
        description="Share of the old rows that a new clean file or database may lack; above it the old one is kept.",
    )
    sample_rows: int = Field(1_000_000, ge=1, description="Rows of the generated sample.")
    sample_seed: int = Field(0, ge=0, description="Seed of the generated sample.")
    epoch: Annotated[datetime, AfterValidator(_on_the_grid)] = Field(
        datetime(2014, 1, 1, tzinfo=UTC), description="The instant that the data set calls second 0."
    )
    days: int = Field(58, ge=1, description="Days of the data set: eight windows each.")

    api_host: str = Field("127.0.0.1", description="Address the API server binds.")
    api_port: Port = Field(8040, description="Port of the API server.")
    api_url: str = Field("", description="Stream endpoint to fetch from; by default our own API server's.")
    api_format: Annotated[str, AfterValidator(_known_format)] = Field(
        "json", description="Format to fetch: json, xml, ndjson, csv, arrow or auto (the server's best)."
    )
    api_parser: Parser = Field(
        Parser.TEMPLATE, description="Reader of text formats: template, or reference (ijson, lxml, csv) alone."
    )
    api_token: SecretStr | None = Field(None, description="Bearer token for the API.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to wait for a connection.")
    read_timeout: float = Field(60.0, gt=0, description="Seconds to wait for the next bytes of an answer.")
    fetch_deadline: float = Field(3600.0, gt=0, description="Seconds that all tries of one window may take together.")
    publish_deadline: float = Field(
        1800.0, gt=0, description="Seconds that all tries of publishing one window may take together."
    )
    minimum_rate: int = Field(
        1024, ge=0, description="Bytes per second, over a minute, below which an answer is given up."
    )
    verification: Annotated[str, AfterValidator(_known_level)] = Field(
        "count", description="Least proof of a window: count, or digest (every row hashed at both ends)."
    )
    retry_attempts: int = Field(5, ge=1, description="Tries of a call that fails for a transient reason.")
    max_rejected: int = Field(1000, ge=0, description="Rejected records above which a window fails instead of loading.")

    max_rejected_share: float = Field(
        0.1, ge=0, le=1, description="Rejected share of a window's records above which it fails instead of loading."
    )

    qualys_url: str = Field(
        "https://qualysapi.qualys.com",
        description="Qualys' API server for your account; QUALYS_USERNAME and QUALYS_PASSWORD hold the credentials.",
    )

    nvd_url: str = Field(
        "https://services.nvd.nist.gov", description="NVD's API server, or a mirror; NVD_API_KEY holds the key."
    )

    bigquery_project: str = Field(
        "", description="Google Cloud project; without it the local emulator is the warehouse."
    )
    bigquery_dataset: str = Field("flows_platform", description="Dataset of the tables.")
    bigquery_location: str = Field("US", description="Location of the dataset and its jobs.")
    bigquery_credentials: SecretStr | None = Field(
        None, description="Service-account key, base64 of its JSON; by default application default credentials."
    )
    emulator_port: Port = Field(9050, description="HTTP port of the local BigQuery emulator.")
    emulator_key_file: Path | None = Field(
        None, description="File with the key of the emulator; by default emulator.key in FLOWS_HOME."
    )

    tpch_scale: float = Field(
        0.01,
        ge=0.001,
        le=10,
        description="Scale of the generated orders of TPC-H: 0.01 gives 15,000, 1 gives 1,500,000.",
    )
    archive_url: str = Field(
        "",
        description="Where webhooks are archived: file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; by default "
        "the folder archive in FLOWS_HOME.",
    )
    hooks_url: str = Field(
        "", description="Base URL of the API server that receives webhooks; by default our own API server's."
    )

    sql_url: SecretStr | None = Field(
        None,
        description="Database of CVEs, postgresql://… or sqlite:///…; by default database/cves.db in FLOWS_HOME.",
    )

    dagster_port: Port = Field(3000, description="Port of the Dagster UI.")
    dagster_url: str | None = Field(
        None,
        description="Public URL of the Dagster UI, for links in notifications; by default its address on this machine.",
    )
    allowed_hosts: Annotated[str, AfterValidator(_known_hosts)] = Field(
        "",
        description="Host names, by commas, that UI and API answer to besides loopback's: a proxy's, or its own.",
    )
    windows_per_run: int = Field(58, ge=1, description="Windows in one run of a backfill.")
    grace_minutes: int = Field(
        20, ge=0, lt=180, description="Minutes after its end at which a window counts as closed."
    )
    look_back: int = Field(2, ge=0, description="Closed windows that schedule and sensor check again for late records.")
    notification_url: SecretStr | None = Field(
        None, description="URL that notifications are posted to; without one they are logged."
    )

    simulated_speed: float | None = Field(
        None, ge=1, le=86_400, description="Speed of the simulated clock of `flows dev`; without one all rows appear."
    )
    simulated_start: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        None,
        description="When the simulated clock is at second 0; by default when it first starts, kept in FLOWS_HOME.",
    )
    late_share: float = Field(0.0, ge=0, le=1, description="Share of the rows that the simulated clock shows late.")
    late_minutes: int = Field(0, ge=0, description="Minutes of the data set by which they are late.")

    @model_validator(mode="before")
    @classmethod
    def _of_environment(cls, given: dict[str, object]) -> dict[str, object]:
        found = {name: os.environ.get(_variable(name)) for name in cls.model_fields}
        return {**_by_old_names(), **{name: value for name, value in found.items() if value is not None}, **given}

    @property
    def end(self) -> datetime:
        """The exclusive end of the last window."""
        return self.epoch + timedelta(days=self.days)

    @property
    def clock(self) -> SimulatedClock | None:
        """The simulated clock, if it was started."""
        start = self.simulated_start
        return SimulatedClock(start, self.simulated_speed) if self.simulated_speed and start else None

    @property
    def source_entries(self) -> tuple[str, ...]:
        """What names the sources: the setting, or the project's own file; nothing means all that are shipped."""
        return self.sources or project_sources(Path(PROJECT_FILE))

    @property
    def stream_url(self) -> str:
        """The endpoint that windows are fetched from."""
        return self.api_url or f"{self.api_base}/api/v1/stream/flows"

    @property
    def dagster_base(self) -> str:
        """The address of the Dagster UI."""
        return (self.dagster_url or f"http://127.0.0.1:{self.dagster_port}").rstrip("/")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that UI and API answer to besides loopback's, as `name` or `name:port`."""
        return host_names(self.allowed_hosts)

    @property
    def ui_hosts(self) -> tuple[str, ...]:
        """The same names, and that of the UI's public URL."""
        reached = (urlsplit(self.dagster_url).netloc,) if self.dagster_url else ()
        return (*self.hosts, *reached)

    @property
    def api_base(self) -> str:
        """The address of our own API server."""
        return f"http://{in_url(self.api_host)}:{self.api_port}"

    @property
    def hooks_base(self) -> str:
        """The address of the API server that receives webhooks."""
        return self.hooks_url.rstrip("/") or self.api_base

    @property
    def archive(self) -> str:
        """The URL of the archive of webhooks."""
        return self.archive_url or self.files.archive.as_uri()

    @property
    def journal(self) -> Path:
        """The journal of the archive: every archive has its own, since a journal says what its archive has."""
        return self.files.journals / f"{sha256(self.archive.encode()).hexdigest()[:16]}.db"

    @property
    def emulator_url(self) -> str:
        """The emulator's address; empty if a real project is set."""
        return "" if self.bigquery_project else f"http://127.0.0.1:{self.emulator_port}"

    @property
    def emulator_key(self) -> Path:
        """The file with the emulator's key."""
        return (self.emulator_key_file or self.files.emulator_key).absolute()

    @property
    def warehouse_project(self) -> str:
        """The project of the tables; the emulator has its own."""
        return self.bigquery_project or EMULATOR_PROJECT

    @property
    def files(self) -> "Files":
        return Files(self.home.absolute())

    @property
    def versions(self) -> Path:
        """The file of the versions of tables. Another project or dataset has tables, and so answers, of its own."""
        # guard: answers are of their dataset
        return self.files.home / f"versions-{self.warehouse_project}.{self.bigquery_dataset}.json"

    @property
    def cves_url(self) -> str:
        """The URL of the database of CVEs; it may hold a password."""
        return self.sql_url.get_secret_value() if self.sql_url else f"sqlite:///{quote(str(self.files.cves))}"

    def child_environment(self) -> dict[str, str]:
        """This process's environment for Dagster's own processes: the same settings, an absolute home, the clock."""
        inherited = {name: value for name, value in os.environ.items() if name not in OLD_NAMES}
        renamed = {_variable(name): value for name, value in _by_old_names().items()}
        added = {
            "FLOWS_HOME": str(self.files.home),
            "DAGSTER_HOME": str(self.files.dagster),
            "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",  # a backfill waits for a code server to be back
        }
        if self.clock:
            added["FLOWS_SIMULATED_SPEED"] = str(self.clock.speed)
            added["FLOWS_SIMULATED_START"] = self.clock.start.isoformat()
        return {**inherited, **renamed, **added}

    def for_child(self) -> str:
        """All settings as JSON, secrets included, for the standard input of a process of ours."""
        return json.dumps(self.model_dump(), default=_revealed)


def _revealed(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class Files:
    """The paths below the home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sample = home / "raw" / "flows.txt"
        self.clean = home / "clean" / "clean_flows.csv"
        self.rejects = home / "clean" / "rejected_lines.csv"
        self.rejected = home / "rejected" / "rejected_flows.csv"
        self.database = home / "database" / "flows.db"
        self.cves = home / "database" / "cves.db"
        self.tpch_orders = home / "raw" / "tpch_orders"
        self.windows = home / "windows"
        self.archive = home / "archive"
        self.journals = home / "journals"
        self.reports = home / "reports"
        self.raw_pulls = home / "raw_pulls"
        self.unpacking = home / "unpacking"
        self.emulator = home / "emulator"
        self.emulator_key = home / "emulator.key"
        self.dagster = home / "dagster"
        self.dagster_key = home / "dagster.key"
        self.clock = home / "replay.json"  # its name in existing homes
        self.locks = home / "locks"
        self.logs = home / "logs"


def load_settings(**overrides: object) -> Settings:
    """The settings of this environment; `overrides` win.

    Raises:
        ConfigurationError: a value is not allowed; the message names the variable, and the value unless it is secret.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(_fault(str(fault["loc"][0]), fault["msg"], fault["input"]) for fault in error.errors()) + ".",
            remedy="docs/reference/settings.md lists all settings with their meaning.",
        ) from None


def project_sources(file: Path) -> tuple[str, ...]:
    """The sources that a project's pyproject.toml names under `[tool.flows_platform]`; none where there is none.

    Raises:
        ConfigurationError: the file cannot be read, or `sources` is not a list of texts.
    """
    try:
        project = tomllib.loads(file.read_text("utf-8"))
        sources = project.get("tool", {}).get("flows_platform", {}).get("sources", [])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}.", remedy="Correct it, or set FLOWS_SOURCES."
        ) from error
    if not isinstance(sources, list) or not all(isinstance(entry, str) for entry in sources):
        raise ConfigurationError(
            f"{file}: `sources` of [tool.flows_platform] is not a list of texts.", remedy='Write sources = ["sources"].'
        )
    return tuple(sources)


def allowed_settings(**overrides: object) -> Settings:
    """The settings of this environment, with defaults instead of values that are not allowed."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]) for fault in error.errors()}
    return Settings(**{name: Settings.model_fields[name].get_default() for name in wrong} | overrides)


def secret(name: str) -> str | None:
    """The value of an environment variable that a source's YAML names; None if it is unset or empty."""
    return os.environ.get(name) or None


def _by_old_names() -> dict[str, str]:
    """The settings that the environment sets by their old names only."""
    found = {old: name for old, name in OLD_NAMES.items() if old in os.environ and _variable(name) not in os.environ}
    for old, name in found.items():
        say_renamed(old, _variable(name))
    return {name: os.environ[old] for old, name in found.items()}


def unknown_variables() -> list[str]:
    """Variables of the environment that look like settings but are not: most likely misspelt."""
    known = {_variable(name) for name in Settings.model_fields} | OLD_NAMES.keys()
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _fault(name: str, message: str, value: object) -> str:
    field = Settings.model_fields[name]
    secret = "SecretStr" in str(field.annotation)
    shown = "" if secret else f" is {str(value)[:100]!r}:"
    return f"{_variable(name)}{shown} {message.removeprefix('Value error, ')}"
