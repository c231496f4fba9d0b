"""Requests of the server to itself, within the process: a page shows what the API answers to the page's reader.

So pages have no access to the data of their own: scopes, limits and problems are those of the API.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from json import loads
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from api_server.http.problems import CONTENT_TYPE, Problem

BASIC = re.compile(b"basic +([A-Za-z0-9+/]+=*)", re.IGNORECASE)
CONNECTION = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")
PASSED_ON = frozenset({b"host", b"authorization"})


@dataclass(frozen=True, slots=True)
class SubResponse:
    """The API's answer, and what its endpoint left in the request's state."""

    status: HTTPStatus
    headers: Headers
    body: bytes
    state: Mapping[str, Any]

    @property
    def problem(self) -> Problem | None:
        """The problem, if the answer is one."""
        if self.headers.get("content-type") != CONTENT_TYPE:
            return None
        document = loads(self.body)
        kept = {name: self.headers[name] for name in ("WWW-Authenticate", "Retry-After") if name in self.headers}
        members = {name: document[name] for name in ("parameter", "allowed") if name in document}
        kind = document["type"].removeprefix("/#")
        return Problem(self.status, kind, document["detail"], members=members, headers=kept)


async def ask(request: Request, target: str, *, method: str = "GET", further: Iterable[bytes] = ()) -> SubResponse:
    """This server's answer to a request for `target` with the Authorization header of a page's request.

    Args:
        request: The page's request.
        target: The path with its query, percent-encoded.
        method: GET or HEAD.
        further: Names of further headers of the page's request that are passed on, in lower case.

    Raises:
        ClientDisconnect: the page's reader closed the connection while the answer was sent.
    """
    path, _, query = target.partition("?")
    passed = PASSED_ON.union(further)
    scope: dict[str, Any] = {
        **{key: request.scope[key] for key in CONNECTION if key in request.scope},
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "state": {},
        "headers": [(name, _bearer(name, value)) for name, value in request.scope["headers"] if name in passed],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await request.app(scope, request.receive, send)
    start, *rest = sent
    # guard: a part of an answer is not taken for the whole
    if rest[-1].get("more_body", False):
        raise ClientDisconnect
    body = b"".join(message.get("body", b"") for message in rest)
    return SubResponse(HTTPStatus(start["status"]), Headers(raw=start["headers"]), body, scope["state"])


async def ask_or_raise(request: Request, target: str) -> SubResponse:
    """As `ask`, for an answer that is not a problem.

    Raises:
        Problem: the answer is a problem.
    """
    found = await ask(request, target)
    if problem := found.problem:
        raise problem
    return found


def _bearer(name: bytes, value: bytes) -> bytes:
    """The header as the API reads it: a browser that asked its user for a password sends the token as the password."""
    match = BASIC.fullmatch(value) if name == b"authorization" else None
    try:
        return b"Bearer " + b64decode(match[1]).partition(b":")[2] if match else value
    except Error:
        return value
