"""The keys of a source's YAML: names, types, defaults and meaning. `build.py` builds a table from them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.time_forms import TimeForm
from flows_platform.columns.written import TimeWritten
from flows_platform.components import rules
from flows_platform.declared import NAME, Declared, Secret, is_template, refused
from flows_platform.domain.cron import FORMS, Cron
from flows_platform.domain.schema import ColumnType, Granularity
from flows_platform.domain.windows import WindowGrid
from flows_platform.fetch.api import Newest
from flows_platform.fetch.auth import AnyAuth
from flows_platform.fetch.body import BodyForm, as_text
from flows_platform.fetch.declared_request import DeclaredRequest
from flows_platform.fetch.details import Details
from flows_platform.fetch.for_each import ValuesFile, ValuesVariable
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.http.refusals import NothingAnswer, Wait
from flows_platform.fetch.http.tls import Tls
from flows_platform.fetch.jobs import Job
from flows_platform.fetch.paging import AnyPaging
from flows_platform.fetch.time_parameters import TimeParameters
from flows_platform.fetch.unpacking import Packing
from flows_platform.formats.csv.dialect import CsvDialect
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import Parser
from flows_platform.orchestration.metadata.charts import Chart

LONGEST_TABLE = 200  # characters of a table's name, which files and folders also have
Template = Annotated[str, Field(pattern=r"^\{\{.*\}\}$")]
NotNegative = Annotated[int, Field(ge=0, le=1_000_000)]
Format = Literal["json", "xml", "ndjson", "csv", "arrow", "auto"]
Level = Literal["unverified", "framing", "count", "digest"]
# Numbers and truth values become the text that a query holds.
PlainText = Annotated[str, BeforeValidator(lambda given: as_text(given) if isinstance(given, int | float) else given)]


def _has_a_name(given: object) -> object:
    if isinstance(given, dict) and len(given) == 1 and isinstance(next(iter(given.values())), str):
        key = next(iter(given))
        raise refused(f"the values have no name: write {{NAME: {{{key}: …}}}}, and {{NAME}} in the request", (key,))
    return given


class Finer(StrEnum):
    """What happens to a time that is finer than a microsecond."""

    REJECT = "reject"
    TRUNCATE = "truncate"


class InvalidCharacters(StrEnum):
    """What happens to characters that a format does not allow in its texts."""

    REFUSE = "refuse"
    REPLACE = "replace"


class Namespaces(StrEnum):
    """What happens to the namespaces of XML names."""

    KEEP = "keep"
    DROP = "drop"


class Api(Declared):
    """Where the API is, how a window is requested, and how its records arrive."""

    url: Annotated[str, AfterValidator(rules.is_url)] | None = Field(
        None,
        description="The full endpoint; of a `job`, `start` has it. {start} and {end} are the range's bounds here, in "
        "parameters, headers and the body, as `time.written` says or by strftime: {start:%Y/%m/%d}.",
    )
    method: Literal["GET", "POST"] = Field("GET", description="The requests' method.")
    body: dict[str, JsonValue] | list[JsonValue] | None = Field(
        None, description="POST: the body, an object or an array; a secret as {env: NAME}, which is masked."
    )
    body_form: BodyForm = Field(BodyForm.JSON, description="How the body is written.")
    format: Format | Template = Field(description="auto leaves the choice to the server.")
    parser: Parser | Template = Field(
        Parser.TEMPLATE,
        description="template: records that provably repeat the first record's layout are read as columns, the others "
        "by ijson, lxml or csv. reference: those libraries read everything.",
    )
    format_parameter: str | None = Field(None, description="Parameter that names the format, if there is one.")
    records: str = Field("records", description="JSON: path of the array. XML: the root element.")
    record: str = Field("record", description="XML: a record's element, or its path below the root: A/B/RECORD.")
    rows: RecordPath | None = Field(None, description="Path of repeated children; every child makes a row.")
    names: list[str] | RecordPath | None = Field(
        None,
        description="JSON, NDJSON: names of the values of arrays by position, or in JSON the path to these names. The "
        "records are such arrays; with `rows`, the elements of that list are.",
    )
    record_key: str | None = Field(
        None, description="JSON: `records` is an object whose members are the records; their names become this field."
    )
    record_bytes: int = Field(1 << 20, ge=1, description="Largest size of a record, in bytes.")
    headers: dict[str, PlainText | Secret] = Field(
        {}, description="Headers of every request; a secret as {env: NAME}, which is masked."
    )
    parameters: dict[str, PlainText | Secret] = Field(
        {}, description="Query parameters; a secret as {env: NAME}, which is masked."
    )
    auth: AnyAuth | None = Field(None, description="How requests authenticate.")
    tls: Tls | None = Field(None, description="Own CA and client certificate, for the API and the server of tokens.")
    time: TimeParameters | None = Field(None, description="How a time range is requested.")
    snapshot: bool = Field(
        False,
        description="Instead of time: every window holds the whole list as it was when the window closed. A window is "
        "fetched until the next one closes; older windows keep the lists that they have.",
    )
    for_each: (
        Annotated[dict[str, list[PlainText] | ValuesFile | ValuesVariable], BeforeValidator(_has_a_name)] | None
    ) = Field(
        None,
        description="One pull per value, all in one window: {NAME: [values]}, {NAME: {file: PATH}} or {NAME: {env: "
        "VARIABLE}}. {NAME} is the value in url (percent-encoded but for its slashes), parameters, headers and body. A "
        "record that two pulls give counts once if all its columns are the same; else the key needs the value.",
    )
    paging: AnyPaging | None = Field(
        None, description="How an answer continues; without it, one answer holds all records."
    )
    details: Details | None = Field(
        None, description="The list gives ids, and these requests the records: {ids}, or {id} for one at a time."
    )
    job: Job | None = Field(
        None, description="An export: a request starts a job, and its result is read once the job is done."
    )
    total: RecordPath | None = Field(
        None, description="Path of the declared total: the number of records in the range; of a `job`, in its status."
    )
    ignore_envelope: list[RecordPath] = Field(
        [],
        description="Paths around the records, or headers, that look like a sign of more records but are not.",
    )
    rate: RateBudget | None = Field(None, description="How many requests the API allows.")
    wait: Wait | None = Field(None, description="How an answer says to try again later.")
    errors: ErrorDocument | None = Field(None, description="What an error document looks like.")
    nothing: list[NothingAnswer] = Field(
        [],
        description="Answers that mean that there are no records: statuses such as 204 or 404, `empty` bodies, the "
        "array `missing` or `null`, {code: …} of an error document.",
    )
    content_types: list[str] = Field([], description="Content types to accept besides the format's own.")
    unpack: Packing | None = Field(
        None,
        description="The body is a file of this kind. Members of a gzip file are read as one document, files of a zip "
        "file as one document each.",
    )
    csv: CsvDialect | None = Field(None, description="CSV: its dialect.")
    message_header: str | None = Field(None, description="Header with the reason of a refusal.")
    doctype: bool = Field(False, description="XML: accept a DOCTYPE that names an external DTD; it is never read.")
    invalid_characters: InvalidCharacters = Field(
        InvalidCharacters.REFUSE,
        description="XML, JSON, NDJSON: replace writes U+FFFD for control characters in texts, and counts them.",
    )
    namespaces: Namespaces = Field(
        Namespaces.KEEP,
        description="XML: drop reads names without their namespace; otherwise a name is {namespace}NAME.",
    )
    compression: list[Literal["gzip", "zstd"]] = Field([], description="Content codings to offer.")
    verification: Level | Template = Field("framing", description="The least proof that a window needs.")
    flows_protocol: bool = Field(False, description="The server speaks this platform's protocol: counts and footers.")
    newest: Newest | None = Field(None, description="Where the API says how new its records are.")

    @property
    def first(self) -> DeclaredRequest:
        """The first request of a range, which `job.start` declares or the keys of the API itself."""
        if self.job:
            return self.job.start
        return DeclaredRequest.model_construct(
            self.model_fields_set, url=self.url or "", method=self.method, body=self.body, body_form=self.body_form
        )


class ColumnDeclaration(Declared):
    """A column, and where its value comes from."""

    name: str = Field(pattern=NAME, description="The column's name in the table.")
    type: ColumnType = Field(
        ColumnType.STRING,
        description="Type of its values. numeric: an exact decimal of at most 29 digits and 9 decimals, in quotes or "
        "not. date: YYYY-MM-DD.",
    )
    path: RecordPath | list[RecordPath] | None = Field(
        None, description="Path in the record, by default the name; of several paths, the first with a value counts."
    )
    join: list[RecordPath] = Field([], description="Instead of a path: paths whose values are joined with |.")
    origin: str | None = Field(
        None,
        alias="from",
        description="Instead of a path: window_start, window_end or fetched_at, which all rows of a window share, or "
        "the name of `for_each`.",
    )
    description: str = Field("", description="Shown in Dagster and BigQuery.")
    required: bool = Field(False, description="Whether a record without it is rejected.")
    written: TimeWritten = Field(
        TimeForm.ISO,
        description="timestamp: how the source writes it. iso has a zone, iso_utc has none; a date is its midnight in "
        "UTC; numbers count since 1970; a strftime text such as %d/%b/%Y:%H:%M:%S %z means UTC if it has no zone. "
        "date: iso is YYYY-MM-DD; in another form, it must be a midnight in UTC.",
    )
    finer: Finer = Field(
        Finer.REJECT, description="timestamp: what happens to a time with digits beyond a microsecond."
    )


class Partitions(Declared):
    """The windows."""

    cron: Annotated[str, AfterValidator(rules.is_cron)] = Field(
        "0 */3 * * *", description=f"When windows start: {FORMS}."
    )
    start: datetime | Template = Field(description="Start of the first window, in local time of the time zone.")
    end: datetime | Template | None = Field(
        None, description="End of the last window; without it, windows go on for ever."
    )
    timezone: Annotated[str, AfterValidator(rules.is_zone)] = Field(
        "UTC", description="The zone at whose midnight days and months begin; shorter windows need UTC."
    )

    @property
    def grid(self) -> WindowGrid:
        """All windows from the first one on.

        Raises:
            ConfigurationError: the first one does not start where the cron says, or is not in the years 1 to 9999.
        """
        zone = rules.zone_of(self.timezone)
        return Cron.parse(self.cron).grid(rules.instant_of(self.start, zone), zone)

    @property
    def last_instant(self) -> datetime | None:
        """The end of the last window.

        Raises:
            ConfigurationError: it is not in the years 1 to 9999.
        """
        return rules.instant_of(self.end, rules.zone_of(self.timezone)) if self.end else None

    @property
    def start_days(self) -> bool:
        """Whether every window starts at a midnight in UTC."""
        return Cron.parse(self.cron).starts_at_midnight and self.timezone == "UTC"

    @property
    def templated(self) -> bool:
        """Whether one of them is a template, which is replaced before the windows are known."""
        return any(is_template(value) for _, value in self)


class Destination(Declared):
    """The table in BigQuery."""

    partition_by: Granularity = Field(
        Granularity.HOUR,
        description="Length of a partition of the table; BigQuery takes 10,000: 416 days of hours, 27 years of days.",
    )
    cluster_by: list[str] = Field([], max_length=4, description="Up to four columns.")


class TableShape(Declared):
    """The keys of a table, whatever fills it."""

    name: str = Field(pattern=NAME, max_length=LONGEST_TABLE, description="The table's and its asset's name.")
    files_asset: str | None = Field(None, description="The asset of window files; by default NAME_windows.")
    description: str = Field("", description="Shown in Dagster and BigQuery.")
    group: str | None = Field(None, description="Asset group; by default the table's name.")
    owner: str | None = Field(None, description="Owner that Dagster shows: `team:NAME` or an e-mail address.")
    columns: list[ColumnDeclaration] = Field([], description="The table's columns, in order.")
    time: str | None = Field(None, description="The timestamp column that decides in which window a row is.")
    key: str | list[str] | None = Field(
        None, description="The column, or columns, that identify a row within a window."
    )
    extra: str | None = Field(
        None,
        description="Column that keeps unknown fields as JSON; without it, a record with unknown fields is rejected.",
    )
    ignore: list[RecordPath] = Field([], description="Paths in the record to ignore.")
    destination: Destination | None = Field(None, description="Partitions and clustering of the table in BigQuery.")
    charts: list[Chart] = Field([], description="Charts that Dagster shows for windows and table.")
    look_back: NotNegative | Template = Field(2, description="Closed windows that are fetched again; of a snapshot 0.")
    grace_minutes: NotNegative | Template = Field(
        20, description="Minutes after a window's end until it counts as closed."
    )
    moving: bool = Field(False, description="Records move to a later window when they change.")
    shrink: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of its rows that a window may lose without a second fetch. Below 100 rows it may lose any "
        "number, but never all.",
    )
    keep_raw_days: float | None = Field(None, gt=0, description="Days to keep the raw answers.")

    @property
    def key_columns(self) -> list[str]:
        """The columns of the key."""
        return [self.key] if isinstance(self.key, str) else self.key or []


class TableKeys(TableShape):
    """The keys of a table that is filled from an API. Rules between them are in `validation.py`."""

    upstream: list[str] = Field([], description="Assets that the API serves from.")
    api: Api = Field(description="Where the records come from.")
    table: str | None = Field(None, description="Instead of columns: module:NAME of a table declared in Python.")
    partitions: Partitions = Field(description="The windows.")
