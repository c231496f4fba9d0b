"""OAuth2 tokens: fetched by the API's own client, kept in memory for the process, never shown and never written."""

import json
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from flows_platform.columns.paths import RecordPath
from flows_platform.declared import Secrets
from flows_platform.domain.errors import PlatformError, SourceRefused
from flows_platform.fetch.auth import Auth
from flows_platform.fetch.http.client import HttpClient, Seen, unseen
from flows_platform.fetch.http.pace import Clock
from flows_platform.fetch.http.refusals import Refusals
from flows_platform.fetch.http.request import Request
from flows_platform.formats.protocol.envelope import ErrorDocument

ANSWER_BYTES = 1 << 16
MARGIN = 60.0  # seconds before a token expires at which it is renewed; a tenth of a short life
MASKED = 256  # tokens that are still masked after they were issued
SHOWN = 300  # characters of an error's code, and of its text
REMEDY = "Check `token_url`, `scope`, and the secrets that `auth` names."


class TokenError(ErrorDocument):
    """Why no token is issued (RFC 6749, 5.2): `error` is a code, `error_description` a text."""

    message: RecordPath = RecordPath.parse("error")

    def error(self, root: str | None, envelope: Mapping[str, object]) -> PlatformError | None:  # noqa: ARG002 - JSON
        given = (envelope.get(name) for name in ("error", "error_description"))
        said = [" ".join(str(text).split())[:SHOWN].rstrip(".") for text in given if text]
        return SourceRefused(f"{': '.join(said)}.") if said else None


REFUSALS = Refusals(document=TokenError())


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and when it is to be renewed, on the clock of `Tokens`."""

    value: str = field(repr=False)
    until: float
    refresh_token: str = field(default="", repr=False)


@dataclass(slots=True)
class _Slot:
    """The token of one client at one server; the lock lets one thread fetch it while others wait."""

    lock: Lock = field(default_factory=Lock)
    token: Token | None = None


class Tokens:
    """The tokens of this process."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._slots: dict[object, _Slot] = {}
        self._issued: deque[str] = deque(maxlen=MASKED)

    def issued(self) -> tuple[str, ...]:
        """The tokens that must not be shown, refresh tokens included."""
        return tuple(self._issued)

    def current(
        self,
        client: HttpClient,
        auth: Auth,
        secrets: Secrets,
        deadline: float | None = None,
        *,
        spent: str = "",
        seen: Seen = unseen,
    ) -> str:
        """The token for the next request; "" for a kind without one.

        `spent` is one that the API has refused. `seen` gets the URL and the status of the answer to a token's request.

        Raises:
            PlatformError: none is issued.
        """
        request = auth.token_request(secrets)
        if request is None:
            return ""
        key = (request.identity, tuple(request.headers.items()))
        slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            token = slot.token
            # guard: a token is renewed before it expires
            if token is None or token.value == spent or self._clock() >= token.until:
                again = auth.token_request(secrets, token.refresh_token if token else "") or request
                slot.token = None if token is None else Token("", 0.0, token.refresh_token)
                slot.token = token = self._fetched(client, again, deadline, token, seen)
            return token.value

    def _fetched(
        self, client: HttpClient, request: Request, deadline: float | None, before: Token | None, seen: Seen
    ) -> Token:
        asked = self._clock()
        try:
            with client.stream(request, deadline=deadline, refusals=REFUSALS, seen=seen) as answer:
                body = answer.beginning(ANSWER_BYTES)
            value, refresh, seconds = _read(body)
        except PlatformError as error:
            error.reword(f"no token: {error.message}", error.remedy or REMEDY)
            raise
        for secret in filter(None, (value, refresh)):
            if secret not in self._issued:
                self._issued.append(secret)
        until = asked + seconds - min(MARGIN, seconds / 10) if math.isfinite(seconds) else math.inf
        return Token(value, until, refresh or (before.refresh_token if before else ""))


def _read(body: bytes) -> tuple[str, str, float]:
    """Token, refresh token and seconds of a token's answer (RFC 6749, 5.1). Its text is in no message."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SourceRefused("the answer is not a JSON object.")
    value, refresh, kind = (answer.get(name, "") for name in ("access_token", "refresh_token", "token_type"))
    if not value and (error := TokenError().error(None, answer)):  # some servers say so with status 200
        raise error
    if not (isinstance(value, str) and value and value.isascii() and value.isprintable()):
        raise SourceRefused("the answer has no `access_token` that a header can hold.")
    # guard: a token of another type is not sent as Bearer
    if kind and str(kind).lower() != "bearer":
        raise SourceRefused(f"the token's type is {str(kind)[:40]!r}, not Bearer.")
    return value, refresh if isinstance(refresh, str) else "", _seconds(answer.get("expires_in"))


def _seconds(given: object) -> float:
    """The token's life; without one it is used until it is refused."""
    if given is None:
        return math.inf
    try:
        seconds = math.nan if isinstance(given, bool) else float(str(given))
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise SourceRefused(f"the token's `expires_in` is {str(given)[:40]!r}, not a number of seconds.")
    return seconds


TOKENS = Tokens()
