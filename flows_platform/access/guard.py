"""ASGI: a server that answers only to its own names, and only to requests with its key."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flows_platform.access.hosts import HostList
from flows_platform.access.key import bearer, same_key


class BearerGuard:
    """Passes on requests for a known name (else 421) that have the key as their bearer token (else 401)."""

    def __init__(self, app: ASGIApp, hosts: HostList, key: str) -> None:
        self._app, self._hosts, self._key = app, hosts, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] != "lifespan" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        # guard: the emulator answers to its own names
        if not self._hosts.admits(scope):
            return _refused(HTTPStatus.MISDIRECTED_REQUEST, "The Host header is not a name of this server.")
        # guard: the emulator asks for the key
        if not same_key(self._key, bearer(scope)):
            return _refused(HTTPStatus.UNAUTHORIZED, "The key of this installation is missing or wrong.")
        return None


def _refused(status: HTTPStatus, message: str) -> Response:
    """In the form of Google's errors, which the emulator's clients read."""
    body: Mapping[str, Any] = {"error": {"code": status.value, "message": message, "errors": []}}
    challenge = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    return Response(json.dumps(body), status, {"Cache-Control": "no-store", **challenge}, "application/json")
