"""What holds for every request whatever its path: its host, the length of its target, the headers of every answer."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_server.http.problems import Problem, respond
from flows_platform.access.hosts import HostList

# Path and query. The longest request the grammar allows has 200 bytes.
TARGET_BYTES = 8 * 1024
HEADERS = [(b"x-content-type-options", b"nosniff")]


class SecureHeaders:
    """Says with every answer that its content type is meant as it stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, send_secured)


class KnownHosts:
    """Refuses requests for a name that is not this server's: a page whose name was rebound here could read answers."""

    def __init__(self, app: ASGIApp, hosts: HostList) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        # guard: the API answers to its own names
        if scope["type"] == "http" and not self._hosts.admits(scope):
            detail = "The Host header is not a name of this server. Add it to FLOWS_ALLOWED_HOSTS if it should be."
            app = respond(Request(scope), Problem(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", detail))
        await app(scope, receive, send)


class TargetLimit:
    """Refuses request targets longer than any that means something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        # guard: bytes of a target
        if scope["type"] == "http" and _length(scope) > TARGET_BYTES:
            detail = f"The path and query are longer than {TARGET_BYTES} bytes."
            app = respond(Request(scope), Problem(HTTPStatus.URI_TOO_LONG, "request-too-large", detail))
        await app(scope, receive, send)


def _length(scope: Scope) -> int:
    query: bytes = scope["query_string"]
    return len(scope["raw_path"]) + (len(query) + 1 if query else 0)
