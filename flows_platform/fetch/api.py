"""An API that serves the records of a time range, and the requests to it. Opens no connection."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import Field

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.mapping import RecordMapping
from flows_platform.columns.origins import require_known, window_values
from flows_platform.columns.paths import RecordPath
from flows_platform.declared import Declared, Secret, Secrets
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.redaction import Redactor, bare_url, public_url
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.auth import Auth, NoAuth
from flows_platform.fetch.body import Body, BodyForm, encoded, secrets_in, texts_in
from flows_platform.fetch.declared_request import DeclaredRequest, Filling, Named
from flows_platform.fetch.details import Details
from flows_platform.fetch.for_each import ForEach, Pull, Values
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.refusals import MISSING, USUAL, Refusals
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.http.tls import Tls
from flows_platform.fetch.jobs import Job
from flows_platform.fetch.paging import Paging, SinglePage
from flows_platform.fetch.range_templates import NO_TEMPLATES, Bounds, RangeTemplates, filled
from flows_platform.fetch.time_parameters import NOWHERE, OUR_OWN, Beyond, TimeParameters
from flows_platform.fetch.tokens import TOKENS
from flows_platform.fetch.unpacking import Unpacking
from flows_platform.formats.csv.dialect import RFC_4180, CsvDialect
from flows_platform.formats.json.arrays import Names
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES
from flows_platform.formats.protocol.names import (
    DIGEST_PARAMETER,
    END,
    FOOTER_PARAMETER,
    RECORD,
    RECORDS,
    Parser,
    WireFormat,
)

ACCEPTED = frozenset({200, 201, 202})  # statuses of an answer about a job
FOOTER = (RecordPath.parse(END),)


class Newest(Declared):
    """Where the API says what its newest record is."""

    path: str = Field(description="Path of a JSON document on the API's server.")
    time: RecordPath = Field(description="Path of the newest record's time in it.")
    records: RecordPath = Field(description="Path of the number of records in it.")


@dataclass(frozen=True)
class WindowedApi:
    """One API: its URL, how a window is requested, and how its records are written.

    `url` is the full endpoint. `format` None leaves the choice to the server, Arrow first. `records` is the JSON path
    of the array or the XML root, `record` the XML element of a record, `record_bytes` the largest size of a record.
    `verification` is the lowest level that a window must reach; DIGEST also asks for the digest. `footers` says that
    the server speaks our protocol, and so adds a footer to formats that do not have one. `extra_column` names the
    nullable text column that keeps fields unknown to the schema as JSON; without it such a record is rejected.

    `time` None asks for all records. `mapping` makes rows from nested records. `total` is the path of the number of a
    range's records. `ignored` are paths around the records that never mean that there are more records. `head_counts`
    says that HEAD answers with the count of a window. `doctype` lets an XML answer name an external DTD.
    `parser` chooses the reader of text formats. `secrets` has the values of the secrets that headers, parameters, the
    body, `auth` and `tls` name. The paths of `tls` are absolute.
    """

    url: str = field(repr=False)
    schema: TableSchema
    time: TimeParameters | None = OUR_OWN
    format: WireFormat | None = WireFormat.JSON
    format_parameter: str | None = "format"
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    parameters: Mapping[str, str | Secret] = field(default_factory=dict)
    # guard: secrets are in no repr
    secrets: Secrets = field(default_factory=dict, repr=False)
    records: str = RECORDS
    record: str = RECORD
    auth: Auth = field(default_factory=NoAuth)
    paging: Paging = field(default_factory=SinglePage)
    verification: Verification = Verification.COUNT
    footers: bool = False
    extra_column: str | None = None
    record_bytes: int = RECORD_BYTES
    mapping: RecordMapping | None = None
    total: RecordPath | None = None
    ignored: tuple[RecordPath, ...] = ()
    refusals: Refusals = USUAL
    head_counts: bool = True
    doctype: bool = False
    replaces_characters: bool = False  # those that XML and JSON do not allow in texts
    plain_names: bool = False  # XML's, without their namespace
    newest: Newest | None = None
    dialect: CsvDialect = RFC_4180
    content_types: frozenset[str] = frozenset()  # beside the format's own, in lower case
    compression: tuple[str, ...] = ()  # content codings to offer; none on loopback, where they cost more than they save
    names: Names | None = None  # of the values of arrays
    record_key: str | None = None  # field for the names of an object's members
    unpacking: Unpacking | None = None  # of a body that is itself a gzip or zip file
    parser: Parser = Parser.TEMPLATE
    method: str = "GET"
    body: Body | None = None
    body_form: BodyForm = BodyForm.JSON
    tls: Tls | None = None
    for_each: ForEach | None = None
    values: Values | None = None  # those of `for_each`, when the secrets were read
    snapshot: bool = False  # the source gives its whole list as it is now, whichever window is asked for
    details: Details | None = None  # the list gives ids, and these requests the records
    job: Job | None = None  # the range's first request starts it, and the result is read once it is done
    digests_lines: bool = False  # NDJSON: the source's digest is that of its lines, not of rows
    one_record: bool = False  # an object where the array of records would be is one record

    def __post_init__(self) -> None:
        """Refuse an `extra_column` that would lose fields.

        Raises:
            ConfigurationError: `extra_column` is not a nullable text column of the schema.
        """
        if self.extra_column is None:
            return
        column = next((found for found in self.schema.columns if found.name == self.extra_column), None)
        if column is None or column.type not in {ColumnType.STRING, ColumnType.JSON} or not column.nullable:
            raise ConfigurationError(
                f"{self.extra_column!r} is not a nullable text column of {self.schema.name}: unknown fields go there."
            )

    @property
    def fields(self) -> frozenset[str]:
        """The names of a record's own fields that become columns."""
        if self.mapping:
            return self.mapping.fields
        return frozenset(self.schema.names) - {self.extra_column}

    @cached_property
    def redactor(self) -> Redactor:
        """Masks this API's secrets, and those of proxies."""
        declared = (self.secrets[secret.env] for secret in self._declared_secrets)
        of_proxies = Proxies.of_environment().secrets
        return Redactor((*self.auth.masked(self.secrets), *declared, *of_proxies), issued=TOKENS.issued)

    @property
    def asks_digest(self) -> bool:
        return self.verification is Verification.DIGEST

    @property
    def asks_footer(self) -> bool:
        """Whether to ask for a footer in formats that have none by themselves."""
        return self.footers or self.asks_digest

    @property
    def enveloped(self) -> bool:
        """Whether the values around the records are needed."""
        return bool(self.paging.reads or self.paging.flag or self.total)

    @property
    def counts_rows(self) -> bool:
        """Whether a total is declared that counts rows, not parents of several rows."""
        return self.total is not None and not (self.mapping and self.mapping.each)

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        """The paths around the records that are read."""
        more, errors = self.paging.flag, self.refusals.document
        paths = [*self.paging.reads, more and more.path, self.total, errors and errors.message, errors and errors.code]
        paths += [self.names] if isinstance(self.names, RecordPath) else []
        return (*(FOOTER if self.footers else ()), *(path for path in paths if path))

    @property
    def beyond(self) -> Beyond:
        """How far outside a range a record of its answer may be."""
        return self.time.beyond(self.schema, self.templates) if self.time else NOWHERE

    @cached_property
    def templates(self) -> RangeTemplates:
        """The bounds of a range that the URL, parameters, headers and the body name."""
        declared = [*self.parameters.values(), *self.headers.values()]
        texts = [self.url, *(text for text in declared if isinstance(text, str)), *texts_in(self.body or {})]
        texts += [text for request in self._further_requests for text in request.texts]
        return RangeTemplates.of(texts) if self.time else NO_TEMPLATES

    @property
    def of_details(self) -> "WindowedApi":
        """The API as the requests for details see it: what its answers are, and which of them mean no records."""
        if self.details is None:
            return self
        records = self.records if self.details.records is None else self.details.records
        # guard: what excuses a list does not excuse its records
        inherited = [MISSING] if MISSING in self.refusals.nothing.members else []
        nothing = inherited if self.details.nothing is None else self.details.nothing
        refusals = self.refusals.with_nothing(nothing)
        alone = replace(self, records=records, refusals=refusals, paging=SinglePage(), total=None)
        # Records of details are objects, also where those of the list are arrays or members.
        return replace(alone, names=None, record_key=None, one_record=True)

    @property
    def of_start(self) -> "WindowedApi":
        """The API as the request that starts a job sees it."""
        return replace(self, refusals=replace(self.refusals, good=ACCEPTED))

    @property
    def of_status(self) -> "WindowedApi":
        """The API as requests for a job's status see it: a job that is not found has no records to its name."""
        return replace(self, refusals=replace(self.refusals.with_nothing([]), good=ACCEPTED))

    @property
    def of_result(self) -> "WindowedApi":
        """The API as requests for a job's result see it; what a job has written and is refused is not nothing."""
        # guard: what a job has written is there
        nothing = self.refusals.nothing.without_refusals
        return replace(self, refusals=replace(self.refusals, nothing=nothing), total=None)

    @property
    def time_is_given(self) -> bool:
        """Whether the window, not the record, gives the column that puts a row into its window."""
        return self.mapping is not None and any(
            column.origin and column.column == self.schema.time for column in self.mapping.columns
        )

    def for_window(self, window: Window | None, fetched_at: datetime | None, value: str | None = None) -> "WindowedApi":
        """The API whose mapping gives the columns that do not come from the record their values.

        `value` is that of `for_each`.

        Raises:
            ConfigurationError: one of the values is not known.
        """
        if self.mapping is None or not self.mapping.origins:
            return self
        values = window_values(window, fetched_at)
        if self.for_each:
            values[self.for_each.name] = value
        require_known(self.mapping.origins, values)
        return replace(self, mapping=self.mapping.with_given(values))

    @property
    def pulls(self) -> Iterator[Pull | None]:
        """One pull per value of `for_each`; without it, one that has no value."""
        if self.values is None:
            yield None
        else:
            yield from (Pull(self.values.name, text) for text in self.values.texts)

    def for_pull(self, pull: Pull | None) -> "WindowedApi":
        """The API whose requests have the pull's value.

        Raises:
            ConfigurationError: a request cannot hold the value.
        """
        if pull is None:
            return self
        return replace(
            self,
            url=pull.url(self.url),
            parameters=pull.texts(self.parameters),
            headers=pull.headers(self.headers),
            body=None if self.body is None else pull.body(self.body),
            details=self.details and pull.request(self.details),
            job=self.job and self.job.filled(pull.request),
        )

    def shown_url(self, url: str) -> str:
        """A request's URL for people and logs: without its secrets."""
        return self.redactor(public_url(url, self._secret_parameters))

    def shown(self, request: Request) -> str:
        """The URL of a request that is not signed yet, as it will be sent, for people and logs.

        Raises:
            ConfigurationError: as `signed`.
        """
        return self.shown_url(self.signed(request).target)

    def ranges(self, window: Window | None) -> list[Window | None]:
        """The ranges in which the window is asked for; None means all records."""
        return list(self.time.pieces(window, self.schema, self.templates)) if self.time and window else [None]

    def request(self, window: Window | None) -> Request:
        """The request of a range's first page, not signed yet.

        Raises:
            ConfigurationError: not an http(s) URL, one with credentials, or one that already sets a parameter of ours;
                a secret has characters that a header cannot hold; or a bound of the window cannot be written.
        """
        return self._request(window, bare=False)

    def bare_request(self, window: Window | None) -> Request:
        """The request with what the URL itself says and secrets, without other parameters and members of the body.

        Raises:
            ConfigurationError: as `request`.
        """
        return self._request(window, bare=True)

    def further_request(
        self, declared: DeclaredRequest, window: Window | None, named: Named, accept: str | None = None
    ) -> Request:
        """A request that is declared beside the first, with the API's headers and secret parameters.

        Raises:
            ConfigurationError: as `request`.
            SourceRefused: a value that it names cannot be in a URL.
        """
        bounds = self._bounds(window)
        filling = Filling(bounds, named)
        request = self._at(filling.url(declared.url), self._secret_values(), declared.method)
        if declared.body is not None:
            request = _with_body(request, declared.body, declared.body_form, filling, self.secrets)
        return self.with_headers(request, accept, bounds)

    def _request(self, window: Window | None, *, bare: bool) -> Request:
        bounds = self._bounds(window)
        filling = Filling(bounds)
        ours = self._secret_values() if bare else self._own_parameters(window, bounds)
        request = self._at(filling.url(self.url), ours, self.method)
        if self.body is not None:
            request = _with_body(
                request, type(self.body)() if bare else self.body, self.body_form, filling, self.secrets
            )
        return self.with_headers(request, bounds=bounds)

    def _at(self, url: str, ours: Mapping[str, str], method: str) -> Request:
        """The request of a URL and our own parameters."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"{bare_url(url)!r} is not an http(s) URL.", remedy="Give the full endpoint.")
        # guard: no credentials in a URL
        if parts.username or parts.password:
            raise ConfigurationError(
                f"the URL of {parts.hostname} holds credentials.", remedy="Take them out; set them as authentication."
            )
        given = parse_qsl(parts.query, keep_blank_values=True)
        for name, _ in given:
            # guard: the window's own parameters
            if name in ours or name in self.auth.secret_parameters:
                raise ConfigurationError(
                    f"the URL already sets {name!r}.", remedy="Leave that parameter to the window."
                )
        bare = urlunsplit(parts._replace(query="", fragment=""))
        return Request(bare, (*given, *ours.items()), method=method)

    def with_headers(self, request: Request, accept: str | None = None, bounds: Bounds | None = None) -> Request:
        """The request with the headers that all requests have, but not those of authentication.

        Raises:
            ConfigurationError: a secret has characters that a header cannot hold.
        """
        own = {
            "Accept": accept or (self.format.content_type if self.format else _by_preference()),
            "Accept-Encoding": ", ".join(self.compression) or "identity",
            "User-Agent": "flows-platform",
        }
        declared = filled({name: text for name, text in self.headers.items() if isinstance(text, str)}, bounds)
        request = replace(request, headers=own | declared)
        for name, text in self.headers.items():
            if isinstance(text, Secret) and (value := self.secrets[text.env]):
                request = request.with_secret_header(name, value)
        return request

    def signed(self, request: Request) -> Request:
        """The request as it is sent, authentication included: never log it.

        Raises:
            ConfigurationError: a secret has characters that a header cannot hold.
        """
        return self.auth.apply(request, self.secrets)

    def with_secrets(self, environment: Callable[[str], str | None]) -> "WindowedApi":
        """The API with the values that its secrets and its `for_each` have now.

        Raises:
            ConfigurationError: a required secret is not set, or the values of `for_each` cannot be used.
        """
        named = [*self.auth.secrets, *self._declared_secrets]
        secrets = {secret.env: secret.value(environment) for secret in named}
        values = self.for_each.values(environment) if self.for_each else None
        if values:
            self._require_fitting(values)
        return replace(self, secrets=secrets, values=values)

    def _require_fitting(self, values: Values) -> None:
        columns = self.mapping.columns if self.mapping else ()
        for column in (self.schema.column(found.column) for found in columns if found.origin == values.name):
            for text in values.texts:
                try:
                    cast_value(column, text)
                except Misfit as misfit:
                    raise ConfigurationError(f"a value of `for_each` does not fit: {misfit}.") from None

    def tls_context(self) -> ssl.SSLContext | None:
        """Whom connections trust and how they identify themselves; None where nothing is declared.

        Raises:
            ConfigurationError: a file that `tls` names cannot be read or used.
        """
        return self.tls.context(self.secrets) if self.tls else None

    @property
    def _declared_secrets(self) -> list[Secret]:
        """The secrets of parameters, headers, bodies and TLS."""
        in_tls = self.tls.secrets if self.tls else ()
        bodies = [self.body, *(request.body for request in self._further_requests)]
        in_bodies = [secret for body in bodies for secret in secrets_in(body or {})]
        return [*self._secrets_in(self.parameters), *self._secrets_in(self.headers), *in_bodies, *in_tls]

    @property
    def _further_requests(self) -> tuple[DeclaredRequest, ...]:
        """The requests that are declared beside the list's."""
        of_job = self.job.further.values() if self.job else ()
        return (self.details, *of_job) if self.details else tuple(of_job)

    @staticmethod
    def _secrets_in(texts: Mapping[str, str | Secret]) -> list[Secret]:
        return [text for text in texts.values() if isinstance(text, Secret)]

    @property
    def _secret_parameters(self) -> frozenset[str]:
        """Names of the query parameters that hold secrets."""
        declared = {name for name, text in self.parameters.items() if isinstance(text, Secret)}
        return self.auth.secret_parameters | declared

    def _bounds(self, window: Window | None) -> Bounds | None:
        if self.time and window:
            return self.time.bounds(window, self.schema, self.templates)
        # guard: no request without the range that its texts name
        if self.templates:
            raise ConfigurationError("the request names the bounds of a range, and no range is asked for.")
        return None

    def _own_parameters(self, window: Window | None, bounds: Bounds | None) -> dict[str, str]:
        named = {self.format_parameter: self.format.value} if self.format and self.format_parameter else {}
        time = self.time.render(window, self.schema, self.templates) if self.time and window else {}
        return {
            **filled({name: text for name, text in self.parameters.items() if isinstance(text, str)}, bounds),
            **self._secret_values(),
            **time,
            **self.paging.parameters,
            **named,
            **self._proof(),
        }

    def _secret_values(self) -> dict[str, str]:
        """The parameters that hold secrets, without those of optional ones that are not set."""
        named = {name: self.secrets[text.env] for name, text in self.parameters.items() if isinstance(text, Secret)}
        return {name: value for name, value in named.items() if value}

    def _proof(self) -> dict[str, str]:
        if self.asks_digest:
            return {DIGEST_PARAMETER: "1"}
        own_footer = self.format in {WireFormat.JSON, WireFormat.XML}
        return {FOOTER_PARAMETER: "1"} if self.footers and not own_footer else {}


def _with_body(request: Request, body: Body, form: BodyForm, filling: Filling, secrets: Secrets) -> Request:
    return replace(request, body=encoded(body, form, filling, secrets), content_type=form.content_type)


def _by_preference() -> str:
    """All formats, in the order of `WireFormat`."""
    return ", ".join(f"{wire.content_type};q={1 - rank / 10:.1f}" for rank, wire in enumerate(WireFormat))
