"""The answer to a request that is sent with its credentials; a token that is refused with 401 is replaced once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from flows_platform.declared import Secrets
from flows_platform.domain.errors import PlatformError
from flows_platform.fetch.auth import Auth
from flows_platform.fetch.http.client import Answer, HttpClient, Seen, unseen
from flows_platform.fetch.http.refusals import Refusals
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.tokens import TOKENS

UNAUTHORIZED = 401


class Authenticated(Protocol):
    """An API, as far as its credentials and its refusals go."""

    @property
    def auth(self) -> Auth: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def refusals(self) -> Refusals: ...
    def signed(self, request: Request) -> Request: ...


@contextmanager
def answering(
    client: HttpClient,
    api: Authenticated,
    request: Request,
    *,
    deadline: float | None = None,
    seen: Seen = unseen,
) -> Iterator[Answer]:
    """The answer to a request that is not signed yet.

    `seen` gets the URL and the status of every answer, those with a token too.

    Raises:
        PlatformError: as `HttpClient.stream`; also where no token is issued.
    """
    statuses: list[int] = []

    def note(url: str, status: int) -> None:
        statuses.append(status)
        seen(url, status)

    def sent(token: str) -> Answer:
        signed = api.signed(request)
        if token:
            signed = signed.with_secret_header("Authorization", f"Bearer {token}")
        return opened.enter_context(client.stream(signed, deadline=deadline, refusals=api.refusals, seen=note))

    with ExitStack() as opened:
        token = TOKENS.current(client, api.auth, api.secrets, deadline, seen=seen)
        try:
            answer = sent(token)
        except PlatformError:
            # guard: one new token for a request
            if not token or statuses[-1:] != [UNAUTHORIZED]:
                raise
            answer = sent(TOKENS.current(client, api.auth, api.secrets, deadline, spent=token, seen=seen))
        yield answer
