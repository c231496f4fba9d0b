"""A server of a few lines: a function gives the answer to each request."""

import json
import ssl
import time
from collections.abc import Callable

from tests.fakes.serving import Answer, Asked, VendorServer


class SmallServer(VendorServer):
    """Answers each request with what `respond` makes of it."""

    def __init__(self, respond: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(time.time, tls)
        self._respond = respond

    def answer(self, asked: Asked) -> Answer:
        return self._respond(asked)


def document(value: object, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON; underscores in header names become hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, {"Content-Type": "application/json"} | named, json.dumps(value).encode())
