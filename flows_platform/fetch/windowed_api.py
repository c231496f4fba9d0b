"""The declaration of an API that gives the records of a time range. Data only: nothing here opens a connection."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import TimeBounds
from flows_platform.fetch.auth import Auth, NoAuth
from flows_platform.fetch.paging import Paging, SinglePage
from flows_platform.wire.formats import RECORD, RECORDS, WireFormat


@dataclass(frozen=True, slots=True)
class TimeParameters:
    """The names of a range's parameters, in whole seconds, and whether a record at the bound belongs to the answer."""

    after: str = "scanned_after"
    after_inclusive: bool = False
    before: str = "scanned_before"
    before_inclusive: bool = True

    def render(self, bounds: TimeBounds) -> dict[str, str]:
        """The query parameters that ask for exactly the seconds inside `bounds`."""
        parameters = {self.before: str(bounds.before if self.before_inclusive else bounds.before + 1)}
        if self.after_inclusive:
            parameters[self.after] = str(bounds.first)
        elif bounds.after is not None:
            parameters[self.after] = str(bounds.after)
        return dict(sorted(parameters.items()))


@dataclass(frozen=True, slots=True)
class WindowedApi:
    """One API: where it is, how a window is asked for, how its records come.

    `url` is the full endpoint. `format` None leaves the choice to the server, Arrow first. `records` is the JSON path
    of the array or the XML root, `record` the XML element of a record. `verification` is the least a window must reach.
    """

    url: str
    schema: TableSchema
    time: TimeParameters = TimeParameters()
    format: WireFormat | None = WireFormat.JSON
    format_parameter: str | None = "format"
    parameters: dict[str, str] = field(default_factory=dict)
    records: str = RECORDS
    record: str = RECORD
    auth: Auth = field(default_factory=NoAuth)
    paging: Paging = field(default_factory=SinglePage)
    verification: Verification = Verification.COUNT
    compression: tuple[str, ...] = ()  # content codings to offer; none on loopback, where they cost more than they save

    def request_url(self, bounds: TimeBounds) -> str:
        """The URL of the window's first page.

        Raises:
            ConfigurationError: not an http(s) URL, one with credentials, or one that already sets a parameter of ours.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"{self.url!r} is not an http(s) URL.", remedy="Give the full stream endpoint.")
        if parts.username or parts.password:
            raise ConfigurationError(
                f"the URL of {parts.hostname} holds credentials.", remedy="Take them out; set them as authentication."
            )
        given = parse_qsl(parts.query, keep_blank_values=True)
        ours = self._own_parameters(bounds)
        for name, _ in given:
            if name in ours:
                raise ConfigurationError(
                    f"the URL already sets {name!r}.", remedy="Leave that parameter to the window."
                )
        return urlunsplit(parts._replace(query=urlencode(given + list(ours.items())), fragment=""))

    def _own_parameters(self, bounds: TimeBounds) -> dict[str, str]:
        named = {self.format_parameter: self.format.value} if self.format and self.format_parameter else {}
        return {**self.parameters, **self.time.render(bounds), **named}

    def request_headers(self) -> dict[str, str]:
        """Headers of every request, authentication included: never log them."""
        return {
            "Accept": self.format.content_type if self.format else _by_preference(),
            "Accept-Encoding": ", ".join(self.compression) or "identity",
            "User-Agent": "flows-platform",
            **self.auth.headers(),
        }


def _by_preference() -> str:
    """All formats, in the order of `WireFormat`."""
    return ", ".join(f"{wire.content_type};q={1 - rank / 10:.1f}" for rank, wire in enumerate(WireFormat))
