"""Limits how many requests a token may send in a minute, by a token bucket."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.authorization import grant_of
from api_server.http.feature import Endpoint
from api_server.http.problems import Problem, retry_after

MINUTE = 60
REQUESTS_A_MINUTE = 1200
MOST = 10_000  # tokens that are remembered; the bucket of a forgotten one is full again
POLICY = "requests"


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """The buckets of all tokens, by the tokens' names. Belongs to the event loop's thread.

    Args:
        a_minute: Requests of one token in a minute, which may come at once; 0 for no limit.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = a_minute, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def limited(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint with the rate limit of the request's token, which `requires` has checked."""

        async def within(request: Request) -> Response:
            headers = self.take(grant_of(request).name)
            try:
                response = await endpoint(request)
            except Problem as problem:
                problem.headers |= headers
                raise
            response.headers.update(headers)
            return response

        return within

    def take(self, token: str) -> Mapping[str, str]:
        """Count a request of the token with this name, and give the headers of its answer.

        Raises:
            Problem: 429 if the token has no requests left.
        """
        if not self._most or not token:
            return {}
        now = self._clock()
        bucket = self._buckets.pop(token, None) or _Bucket(self._most, now)
        self._buckets[token] = bucket
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        bucket.left = min(self._most, bucket.left + (now - bucket.at) * self._most / MINUTE)
        bucket.at = now
        # guard: a token has a rate
        if bucket.left < 1:
            wait = math.ceil((1 - bucket.left) * MINUTE / self._most)
            headers = self._headers(0, wait) | retry_after(wait)
            detail = f"The token may send {self._most:,} requests a minute; the next one in {wait} s."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers=headers)
        bucket.left -= 1
        missing = self._most - bucket.left
        return self._headers(int(bucket.left), math.ceil(missing * MINUTE / self._most))

    def _headers(self, left: int, seconds: int) -> dict[str, str]:
        """The headers of the IETF's draft: the quota of a window, what is left of it, and when it is full again."""
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self._most};w={MINUTE}',
            "RateLimit": f'"{POLICY}";r={left};t={seconds}',
        }
