"""A threat feed that no vendor has: bearer token, NDJSON or JSON, next links in a header or in the body.

`from` and `to` are ISO 8601 with a zone and half-open; records come in the order they were seen; the link to the next
page is whole, as clients should follow it and not build it. Above the rate the answer is 429 with Retry-After.
"""

import json
import random
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from .serving import Answer, Asked, Clock, RollingBudget, VendorServer

PATH = "/v1/sightings"
START = datetime(2024, 3, 1, tzinfo=UTC)

type Sighting = dict[str, Any]
type Links = Literal["header", "body"]


def sightings(count: int, seed: int = 0, *, start: datetime = START, days: int = 3) -> list[Sighting]:
    """`count` records, nested two levels, seen in the `days` after `start`; some optional fields are missing."""
    chance = random.Random(seed)
    return [_sighting(chance, f"s-{seed}-{number}", start, days) for number in range(count)]


def _sighting(chance: random.Random, name: str, start: datetime, days: int) -> Sighting:
    source: dict[str, Any] = {
        "name": chance.choice(("hôneypot", "传感器", "feed")),
        "country": chance.choice(("DE", None)),
    }
    if chance.random() < 0.5:
        source["asn"] = chance.randrange(1, 2**32)
    indicator = {"type": chance.choice(("ipv4", "domain", "sha256")), "value": f"{chance.getrandbits(64):016x}"}
    seen = start + timedelta(microseconds=chance.randrange(days * 86_400_000_000))
    return {
        "id": name,
        "seen_at": seen.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "indicator": indicator | {"confidence": chance.randrange(101), "source": source},
        "tags": chance.sample(("c2", "phishing", "tor exit", "line\nbreak"), chance.randint(0, 3)),
    }


class Refused(Exception):
    def __init__(self, status: int, code: str, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers


class ThreatFeedServer(VendorServer):
    """`sightings` is the data, to be changed at will; see VendorServer for `requests`, `faults` and `on_page`.

    With `links="header"` a page is NDJSON and the next one is in `Link`; with "body" it is
    `{"data": […], "next": "…"}`, where the last page's `next` is null.
    """

    def __init__(
        self,
        sightings: Iterable[Sighting],
        *,
        token: str = "feed-token",  # noqa: S107 - of a server that lives for one test
        links: Links = "header",
        page_size: int = 100,
        requests_per_window: int = 1000,
        window_seconds: float = 60,
        next_origin: str | None = None,  # where the next link points instead of here
        clock: Clock = time.time,
    ) -> None:
        super().__init__(clock)
        self.sightings = list(sightings)
        self.links, self.page_size, self.next_origin = links, page_size, next_origin
        self._authorization = f"Bearer {token}"
        self._budget = RollingBudget(requests_per_window, window_seconds, clock)

    @property
    def url(self) -> str:
        return self.origin + PATH

    def answer(self, asked: Asked) -> Answer:
        try:
            self._check(asked)
            first, last, offset = _asked_range(asked.parameters)
        except Refused as reason:
            error = {"error": {"code": reason.code, "message": reason.text}}
            headers = {name.replace("_", "-"): value for name, value in reason.headers.items()}
            return Answer(reason.status, {"Content-Type": "application/json"} | headers, json.dumps(error).encode())
        found = sorted((s for s in self.sightings if first <= _seen(s) < last), key=lambda s: (_seen(s), s["id"]))
        page = [json.dumps(sighting, ensure_ascii=False) for sighting in found[offset : offset + self.page_size]]
        rest = offset + self.page_size < len(found)
        self.page_fixed()
        return self._answer(page, self._next(first, last, offset + self.page_size) if rest else None)

    def _check(self, asked: Asked) -> None:
        if asked.path != PATH:
            raise Refused(404, "not_found", f"no such path: {asked.path}")
        if asked.headers.get("authorization") != self._authorization:
            raise Refused(401, "unauthorized", "a valid bearer token is required", WWW_Authenticate="Bearer")
        if wait := self._budget.take():
            raise Refused(429, "rate_limited", "too many requests", Retry_After=str(-int(-wait // 1)))

    def _next(self, first: datetime, last: datetime, offset: int) -> str:
        cursor = json.dumps([first.isoformat(), last.isoformat(), offset]).encode()
        return f"{self.next_origin or self.origin}{PATH}?cursor={urlsafe_b64encode(cursor).decode().rstrip('=')}"

    def _answer(self, page: list[str], url: str | None) -> Answer:
        if self.links == "header":
            link = {"Link": f'<{self.url}>; rel="self", <{url}>; rel="next"'} if url else {}
            return Answer(200, {"Content-Type": "application/x-ndjson"} | link, (f"{line}\n".encode() for line in page))
        return Answer(200, {"Content-Type": "application/json"}, _enveloped(page, url))


def _enveloped(page: list[str], url: str | None) -> Iterator[bytes]:
    yield b'{"data": ['
    yield ", ".join(page).encode()
    yield f'], "next": {json.dumps(url)}}}'.encode()


def _seen(sighting: Sighting) -> datetime:
    return datetime.fromisoformat(sighting["seen_at"])


def _asked_range(parameters: dict[str, str]) -> tuple[datetime, datetime, int]:
    if "cursor" in parameters:
        cursor = parameters["cursor"]
        first, last, offset = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(first), datetime.fromisoformat(last), int(offset)
    return _zoned(parameters, "from"), _zoned(parameters, "to"), 0


def _zoned(parameters: dict[str, str], name: str) -> datetime:
    text = parameters.get(name, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused(400, "invalid_parameter", f"{name} is not an ISO 8601 time with a zone: {text!r}")
    return moment
