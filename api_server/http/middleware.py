"""Checks of every request, on any path: its host and the length of its target; headers of every answer."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_server.http.problems import Problem, respond
from flows_platform.access.hosts import HostList

# Of path and query. The longest valid request has 200 bytes.
TARGET_BYTES = 8 * 1024
HEADERS = [(b"x-content-type-options", b"nosniff")]


class SecureHeaders:
    """Adds `nosniff` to every answer: its content type is the right one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, send_secured)


class KnownHosts:
    """Refuses requests for other names than this server's: a page whose name was rebound to it could read answers."""

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
    """Refuses request targets longer than any valid one."""

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
