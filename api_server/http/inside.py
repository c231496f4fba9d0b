"""A request that the server sends to itself, in this process: a page shows what the API answers to the page's reader.

So a page has no second way to the data: scopes, limits and problems are the API's own.
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
from starlette.requests import Request
from starlette.types import Message

from api_server.http.problems import CONTENT_TYPE, Problem

BASIC = re.compile(b"basic +([A-Za-z0-9+/]+=*)", re.IGNORECASE)
CONNECTION = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")
PASSED_ON = frozenset({b"host", b"authorization"})


@dataclass(frozen=True, slots=True)
class Inside:
    """The API's answer, and what its endpoint kept in the request's state."""

    status: HTTPStatus
    headers: Headers
    body: bytes
    state: Mapping[str, Any]

    @property
    def problem(self) -> Problem | None:
        """The problem that was answered, or None."""
        if self.headers.get("content-type") != CONTENT_TYPE:
            return None
        document = loads(self.body)
        kept = {name: self.headers[name] for name in ("WWW-Authenticate", "Retry-After") if name in self.headers}
        members = {name: document[name] for name in ("parameter", "allowed") if name in document}
        kind = document["type"].removeprefix("/#")
        return Problem(self.status, kind, document["detail"], members=members, headers=kept)


async def ask(request: Request, target: str, *, method: str = "GET", further: Iterable[bytes] = ()) -> Inside:
    """What this server answers to `target`, a path with a query, with the Authorization header of `request`.

    Args:
        request: A page's.
        target: In ASCII, percent-encoded.
        method: GET or HEAD.
        further: Headers of the page's request that are sent too, in lower case.
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
    body = b"".join(message.get("body", b"") for message in rest)
    return Inside(HTTPStatus(start["status"]), Headers(raw=start["headers"]), body, scope["state"])


async def ask_well(request: Request, target: str) -> Inside:
    """The same, where the answer is not a problem.

    Raises:
        Problem: the answer is one.
    """
    found = await ask(request, target)
    if problem := found.problem:
        raise problem
    return found


def _bearer(name: bytes, value: bytes) -> bytes:
    """A header as the API takes it: a browser that asks its user for a password sends the token as that."""
    match = BASIC.fullmatch(value) if name == b"authorization" else None
    try:
        return b"Bearer " + b64decode(match[1]).partition(b":")[2] if match else value
    except Error:
        return value
