"""urllib3's connections with two additions: a limit on the time of an answer's head, and no queries in logs.

Knows no windows and no APIs.
"""

import http.client
import logging
import re
import socket
import threading
from contextlib import suppress
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

QUERY = re.compile(r"\?[^\s\"']*")
LOGGERS = ("urllib3.connectionpool", "urllib3.connection")


class HeadTimer:
    """Ends a connection whose answer's head does not come; a read timeout alone lets it come byte by byte."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self._connection = connection
        self._timer = threading.Timer(seconds, self._abort)
        self._timer.daemon = True
        self.expired = False

    def __enter__(self) -> Self:
        # guard: time of an answer's head
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _abort(self) -> None:
        self.expired = True
        with suppress(OSError, AttributeError):  # closed meanwhile
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class HeadTimed:
    """A connection that raises a timeout if an answer's head is not complete within `head_seconds`."""

    head_seconds = 60.0

    def getresponse(self) -> Any:
        timer = HeadTimer(self, self.head_seconds)  # type: ignore[arg-type]  # mixed into connections alone
        try:
            with timer:
                return super().getresponse()  # type: ignore[misc]
        finally:
            # Also if the head seems complete: http.client takes the end of the stream for the end of the head.
            if timer.expired:
                raise TimeoutError(f"the answer's head was not complete within {self.head_seconds:g} s")


def pool_manager(*, connect: float, read: float) -> urllib3.PoolManager:
    """A pool that neither retries nor follows redirects."""

    class Plain(HeadTimed, HTTPConnection):
        head_seconds = read

    class Secure(HeadTimed, HTTPSConnection):
        head_seconds = read

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    manager = urllib3.PoolManager(timeout=urllib3.Timeout(connect=connect, read=read), retries=False, maxsize=4)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager


class _WithoutQueries(logging.Filter):
    """urllib3 writes each request's whole target at DEBUG, and at WARNING where headers are odd."""

    def filter(self, record: logging.LogRecord) -> bool:
        # guard: queries stay out of logs
        record.msg, record.args = QUERY.sub("?…", record.getMessage()), ()
        return True


_FILTER = _WithoutQueries()


def keep_queries_out_of_logs() -> None:
    """Remove queries from urllib3's log lines. May be called again: a logger adds the same filter once."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
