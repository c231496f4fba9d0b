"""A page's request to the API is answered as a whole, or not at all."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from api_server.http.subrequest import ask


def asked(*bodies: Message) -> bytes:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for message in bodies:
            await send({"type": "http.response.body", **message})

    scope = {"type": "http", "headers": [], "app": app, "path": "/", "query_string": b""}
    return asyncio.run(ask(Request(scope), "/api")).body


def test_an_answer_may_come_in_pieces() -> None:
    assert asked({"body": b"ab", "more_body": True}, {"body": b"c"}) == b"abc"


def test_a_part_of_an_answer_is_not_the_answer() -> None:
    with pytest.raises(ClientDisconnect):
        asked({"body": b"ab", "more_body": True})
