"""Requests to the servers of this machine that the platform starts. No proxy of the environment sees them."""

from http.client import HTTPResponse
from urllib.request import ProxyHandler, Request, build_opener

_DIRECT = build_opener(ProxyHandler({}))


def asked(request: Request | str, timeout: float) -> HTTPResponse:
    """The answer to a request; close it after use.

    Raises:
        URLError: no connection, or a status of an error.
        OSError: the connection broke.
    """
    # guard: no proxy sees the platform's own servers
    answer: HTTPResponse = _DIRECT.open(request, timeout=timeout)
    return answer
