"""A record's detail: one request to its vendor, by a declared template, and what the answer must be."""

import re
import socket
import threading
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from flows_platform.columns.paths import RecordPath, single
from flows_platform.declared import HTTP_URL, Declared, Secret, Secrets, parsed, refused
from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable
from flows_platform.domain.redaction import Redactor, bare_url
from flows_platform.fetch.answering import answering
from flows_platform.fetch.auth import AnyAuth, Auth, NoAuth
from flows_platform.fetch.declared_request import id_of
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.rate_limit import RateBudget, RateGate
from flows_platform.fetch.http.refusals import Nothing, Refusals, Wait
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.tokens import TOKENS
from flows_platform.webhooks.detail_worker import NotAuthorized, Unaskable
from flows_platform.webhooks.parsing import BadDelivery, object_in

LARGEST = 4 << 20  # bytes of a detail
LIMITS = HttpLimits(connect=10, read=30, total=60)
SPARE = 60.0  # seconds of a lease beyond the longest request
LONGEST_WAIT = 3600.0  # seconds that a vendor may ask to wait
NOT_AUTHORIZED = frozenset({401, 403})
# Statuses of the source or of its load; they say nothing about one record.
NEVER_ABSENT = NOT_AUTHORIZED | {407, 408, 421, 425, 429}
_NAME = re.compile(r"\{([^{}]*)\}")
_OF_RECORD = "record."
_METADATA = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})


class Detail(Declared):
    """The request for a record's detail."""

    url: str = Field(
        pattern=HTTP_URL,
        description="The URL, with {id} and {record.PATH}: the record's id, and a value of the webhook's record. They "
        "are percent-encoded, and cannot be in the host.",
    )
    headers: dict[str, str] = Field({}, description="Headers of the request.")
    auth: AnyAuth | None = Field(None, description="How the request authenticates.")
    record: RecordPath | None = Field(
        None, description="Path of the record in the answer; without it, the answer is the record."
    )
    id: RecordPath = Field(
        RecordPath.parse("id"), description="Path of the id in that record; it must be the id that was asked for."
    )
    absent: list[int] = Field([404, 410], description="Statuses that mean that there is no detail, and never will be.")
    rate: RateBudget | None = Field(None, description="How many requests the vendor allows.")

    @field_validator("url")
    @classmethod
    def _leads_to_the_vendor(cls, url: str) -> str:
        host = urlsplit(url).netloc
        # guard: a record chooses no host
        if _NAME.search(host):
            raise refused("a record's value is in the host: secrets would go wherever a webhook says")
        # guard: cloud metadata is never asked
        if is_metadata(urlsplit(url).hostname or ""):
            raise refused(f"{host} is an address of this machine's own cloud, whose answers hold credentials")
        for name in _NAME.findall(url):
            if name != "id" and not name.startswith(_OF_RECORD):
                raise refused(f"there is no {{{name}}}; allowed are {{id}} and {{record.PATH}}")
            if name != "id":
                parsed(RecordPath.parse, name.removeprefix(_OF_RECORD))
        return url

    @field_validator("absent")
    @classmethod
    def _are_of_one_record(cls, absent: list[int]) -> list[int]:
        for status in absent:
            if not 400 <= status < 500 or status in NEVER_ABSENT:  # noqa: PLR2004
                raise refused(f"{status} does not say that one record has no detail")
        return absent

    @property
    def reads_record(self) -> bool:
        """Whether the URL has values of the record besides the id."""
        return any(name != "id" for name in _NAME.findall(self.url))

    def filled(self, record_id: str, record: Mapping[str, object]) -> str:
        """The URL of a record's detail.

        Raises:
            Unaskable: a value of the record is missing, or cannot be in a URL.
        """

        def text(found: re.Match[str]) -> str:
            name = found[1]
            path = RecordPath.parse(name.removeprefix(_OF_RECORD))
            value = record_id if name == "id" else single(path.find(record))
            # guard: a value changes no path
            if id_of(value) is None or str(value) in {".", ".."}:
                raise Unaskable(f"the record has no value for {found[0]} that a URL can hold.")
            return quote(str(value), safe="")

        return _NAME.sub(text, self.url)


def is_metadata(host: str) -> bool:
    """Whether a host is that of a cloud's metadata: a link-local address, however it is written, or a known name."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        try:  # 2852039166 and 0xa9fea9fe are 169.254.169.254
            address = ip_address(socket.inet_aton(name))
        except (OSError, ValueError):
            return name in _METADATA
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_link_local or str(mapped) in {"fd00:ec2::254", "100.100.100.200"}


class DetailApi:
    """Asks a vendor for details. Its methods may be called from any thread.

    Args:
        detail: The declared request.
        secrets: The secrets that it names.
        locks: The folder in which processes share the vendor's budget of requests.
        name: The source's name, under which they share it.

    Raises:
        ConfigurationError: a proxy's variable does not hold a URL.
    """

    def __init__(self, detail: Detail, secrets: Secrets, locks: Path, name: str) -> None:
        self._detail, self.secrets = detail, secrets
        self._ended = threading.Event()
        budget = _budget(detail, secrets)
        self.concurrency = budget.concurrency if budget else 1
        waits = budget.concurrency * budget.seconds if budget else 0.0
        self.lease_seconds = LIMITS.total + SPARE + waits
        proxies = Proxies.of_environment()
        gate = RateGate(budget, locks, f"{name}_details", sleep=self._sleep) if budget else None
        self._client = HttpClient(LIMITS, gate=gate, proxies=proxies)
        self._redactor = Redactor((*self.auth.masked(secrets), *proxies.secrets), issued=TOKENS.issued)

    @classmethod
    def of(cls, detail: Detail, environment: Callable[[str], str | None], locks: Path, name: str) -> "DetailApi":
        """The API with the values that its secrets have now.

        Raises:
            ConfigurationError: a required secret is not set, or a proxy's variable does not hold a URL.
        """
        named: tuple[Secret, ...] = detail.auth.secrets if detail.auth else ()
        return cls(detail, {secret.env: secret.value(environment) for secret in named}, locks, name)

    @property
    def auth(self) -> Auth:
        """How requests authenticate."""
        return self._detail.auth or NoAuth()

    @property
    def refusals(self) -> Refusals:
        """Which statuses are answers."""
        nothing = Nothing(frozenset(self._detail.absent), refused=False)
        return Refusals(waiting=Wait(longest=LONGEST_WAIT), nothing=nothing)

    def signed(self, request: Request) -> Request:
        """The request with its credentials: never log it."""
        return self.auth.apply(request, self.secrets)

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:
        """The vendor's answer, byte by byte; None where it says that there is no detail.

        `record` reads the webhook's record.

        Raises:
            NotAuthorized: the vendor does not accept our credentials.
            Unaskable: the record does not fill the URL.
            Transient: the vendor is away, slow, or asks to come back.
            SourceRefused: it refuses, or its answer is not the record's detail.
        """
        with self._redactor.errors():
            values = _values(record()) if self._detail.reads_record else {}
            url = self._detail.filled(record_id, values)
            # `Accept-Encoding: identity`: the archive keeps the bytes as the vendor sent them.
            headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "flows-platform"}
            body = self._answer(Request(url, headers=headers | self._detail.headers))
            if body is not None:
                self._check(body, record_id, bare_url(url))
            return body

    def close(self) -> None:
        """End waits for the rate, and the connections."""
        self._ended.set()
        self._client.close()

    def _answer(self, request: Request) -> bytes | None:
        statuses: list[int] = []
        try:
            with answering(self._client, self, request, seen=lambda _, status: statuses.append(status)) as answer:
                if answer.status in self._detail.absent:
                    return None
                return _capped(answer.beginning, bare_url(request.url))
        except PlatformError as error:
            # guard: a refused key stops the source
            if isinstance(error, SourceRefused) and statuses[-1:] and statuses[-1] in NOT_AUTHORIZED:
                raise NotAuthorized(
                    error.message, remedy="Correct the secrets that `detail.auth` names, and restart the API server."
                ) from None
            raise

    def _check(self, body: bytes, record_id: str, url: str) -> None:
        try:
            answer = object_in(body)
        except BadDelivery as error:
            raise SourceRefused(f"{url} is not a detail: {error}") from None
        record = single(self._detail.record.find(answer)) if self._detail.record else answer
        found = single(self._detail.id.find(record))
        # guard: the answer is about the record
        if (id_of(found) is None) or str(found) != record_id:
            shown = "not a text or a number" if id_of(found) is None else repr(found)[:80]
            raise SourceRefused(
                f"{url} answered with another record: its {self._detail.id.text} is {shown}.",
                remedy="Check `detail.url`, `detail.record` and `detail.id`.",
            )

    def _sleep(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise SourceUnavailable("the server ends.")


def _values(record: bytes) -> Mapping[str, object]:
    try:
        return object_in(record)
    except BadDelivery as error:
        raise Unaskable(f"the archived record is damaged: {error}") from None


def _budget(detail: Detail, secrets: Secrets) -> RateBudget | None:
    key = detail.auth.key if detail.auth else None
    return detail.rate.with_key() if detail.rate and key and secrets[key.env] else detail.rate


def _capped(beginning: Callable[[int], bytes], url: str) -> bytes:
    """The body, of which one byte more than allowed is read at most."""
    body = beginning(LARGEST + 1)
    # guard: a detail is limited while it is read
    if len(body) > LARGEST:
        raise SourceRefused(f"{url} answered with more than {LARGEST:,} bytes, the most that a detail may have.")
    return body
