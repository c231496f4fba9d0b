"""urllib3's connections with additions: limits on the time of heads, proxies, and no queries in logs.

Knows no windows and no APIs.
"""

import http.client
import logging
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from flows_platform.fetch.http.proxies import Proxy

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
            sock = self._connection.sock
            getattr(sock, "socket", sock).shutdown(socket.SHUT_RDWR)  # the one below TLS to a proxy


class HeadTimed:
    """A connection that raises a timeout if a head is not complete in time.

    An answer's head has `head_seconds`, that of a proxy's answer to CONNECT `tunnel_seconds`.
    """

    head_seconds = 60.0
    tunnel_seconds = 10.0

    def getresponse(self) -> Any:
        with self._timed(self.head_seconds, "the answer's head"):
            return super().getresponse()  # type: ignore[misc]

    def _tunnel(self) -> None:
        with self._timed(self.tunnel_seconds, "the proxy's answer to CONNECT"):
            super()._tunnel()  # type: ignore[misc]

    @contextmanager
    def _timed(self, seconds: float, head: str) -> Iterator[None]:
        timer = HeadTimer(self, seconds)  # type: ignore[arg-type]  # mixed into connections alone
        try:
            with timer:
                yield
        finally:
            # Also if the head seems complete: http.client takes the end of the stream for the end of the head.
            if timer.expired:
                raise TimeoutError(f"{head} was not complete within {seconds:g} s") from None


class Pools:
    """The connections of one client: a pool for those that are direct, and one for every proxy.

    They neither retry nor follow redirects. Without `tls` they trust the system's CAs.
    """

    def __init__(self, *, connect: float, read: float, tls: ssl.SSLContext | None = None) -> None:
        self._connect, self._read, self._tls = connect, read, tls
        self._pools: dict[Proxy | None, urllib3.PoolManager] = {}

    def through(self, proxy: Proxy | None) -> urllib3.PoolManager:
        """The pool whose connections go through the proxy; for None, to the server itself."""
        if proxy not in self._pools:
            self._pools[proxy] = _pool_manager(self._connect, self._read, self._tls, proxy)
        return self._pools[proxy]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()


def _pool_manager(connect: float, read: float, tls: ssl.SSLContext | None, proxy: Proxy | None) -> urllib3.PoolManager:
    class Plain(HeadTimed, HTTPConnection):
        head_seconds = read
        tunnel_seconds = connect

    class Secure(HeadTimed, HTTPSConnection):
        head_seconds = read
        tunnel_seconds = connect

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    timeout = urllib3.Timeout(connect=connect, read=read)
    manager = (
        urllib3.ProxyManager(
            proxy.url, proxy_headers=proxy.headers, timeout=timeout, retries=False, maxsize=4, ssl_context=tls
        )
        if proxy
        else urllib3.PoolManager(timeout=timeout, retries=False, maxsize=4, ssl_context=tls)
    )
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
