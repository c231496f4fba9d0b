"""NVD's CVE API 2.0 as a server over a list of CVE objects that a test may change between pages.

What is known of the real one, and kept here: the bounds of a range are both inclusive and come in pairs, at most 120
days apart; a mistake is 404 with an empty body and the reason in the header `message`; above the rate it is 403; a page
holds at most 2,000; `resultsPerPage` says how many came, `totalResults` is counted at each request; results are in
the order of publication. Of the messages only the one on dates and the one on keys are NVD's own words.
"""

import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .serving import Answer, Asked, Clock, RollingBudget, VendorServer

PATH = "/rest/json/cves/2.0"
MOST_PER_PAGE = 2000
LONGEST_RANGE = timedelta(days=120)
RANGES = {"lastModified": ("lastModStartDate", "lastModEndDate"), "published": ("pubStartDate", "pubEndDate")}
SEVERITIES = {
    "cvssV2Severity": ("cvssMetricV2",),
    "cvssV3Severity": ("cvssMetricV30", "cvssMetricV31"),
    "cvssV4Severity": ("cvssMetricV40",),
}
KNOWN = {"startIndex", "resultsPerPage", "cveId", *SEVERITIES, *(name for pair in RANGES.values() for name in pair)}
PIECE = 64 * 1024  # characters

type Cve = dict[str, Any]

HTML = {"Content-Type": "text/html"}
RATE_REFUSED = Answer(403, HTML, b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden.\n</body></html>\n")
UNAVAILABLE = Answer(503, HTML, b"<html><body><h1>503 Service Unavailable</h1>\n</body></html>\n")


class Refused(Exception):
    """The request is wrong; the text goes into the `message` header."""


class NvdServer(VendorServer):
    """`cves` is the data, to be changed at will; see VendorServer for `requests`, `faults` and `on_page`."""

    def __init__(
        self,
        cves: Iterable[Cve],
        *,
        api_key: str | None = None,
        requests_per_window: int = 5,
        keyed_requests_per_window: int = 50,
        window_seconds: float = 30,
        zone_required: bool = False,  # since 2025-07-24 dates without an offset have been refused at times
        escape_slashes: bool = True,  # some real answers write \/ and some do not
        omit_empty_list: bool = False,  # a recorded empty answer has no `vulnerabilities`
        clock: Clock = time.time,
    ) -> None:
        super().__init__(clock)
        self.cves = list(cves)
        self.api_key = api_key
        self.zone_required, self.escape_slashes, self.omit_empty_list = zone_required, escape_slashes, omit_empty_list
        self._open = RollingBudget(requests_per_window, window_seconds, clock)
        self._keyed = RollingBudget(keyed_requests_per_window, window_seconds, clock)

    @property
    def url(self) -> str:
        return self.origin + PATH

    def answer(self, asked: Asked) -> Answer:
        try:
            if (self._keyed if self._has_key(asked) else self._open).take():
                return RATE_REFUSED
            page = self._page(asked)
        except Refused as reason:
            return Answer(404, {"message": str(reason)})
        self.page_fixed()
        return Answer(200, {"Content-Type": "application/json"}, _pieces(page))

    def _has_key(self, asked: Asked) -> bool:
        key = asked.headers.get("apikey")
        if key is not None and key != self.api_key:
            raise Refused("Invalid apiKey.")
        return key is not None

    def _page(self, asked: Asked) -> str:
        if asked.path.rstrip("/") != PATH:
            raise Refused("Invalid path.")
        if unknown := asked.parameters.keys() - KNOWN:
            raise Refused(f"Invalid parameters: {', '.join(sorted(unknown))}.")
        start = _number(asked, "startIndex", default=0, most=None)
        size = _number(asked, "resultsPerPage", default=MOST_PER_PAGE, most=MOST_PER_PAGE)
        found = self._found(asked)
        envelope = self._envelope(start, len(found), found[start : start + size])
        text = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
        return text.replace("/", "\\/") if self.escape_slashes else text  # a slash occurs in strings alone

    def _envelope(self, start: int, total: int, page: list[Cve]) -> dict[str, Any]:
        now = datetime.fromtimestamp(self.clock(), UTC).replace(tzinfo=None)
        envelope: dict[str, Any] = {
            "resultsPerPage": len(page),
            "startIndex": start,
            "totalResults": total,
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": now.isoformat(timespec="milliseconds"),
        }
        if page or not self.omit_empty_list:
            envelope["vulnerabilities"] = [{"cve": cve} for cve in page]
        return envelope

    def _found(self, asked: Asked) -> list[Cve]:
        found: Iterable[Cve] = self.cves
        for name, bounds in RANGES.items():
            found = self._between(found, name, *(asked.parameters.get(bound) for bound in bounds))
        for name, metrics in SEVERITIES.items():
            if name in asked.parameters:
                found = [cve for cve in found if asked.parameters[name] in _severities(cve, metrics)]
        wanted = asked.parameters.get("cveId")
        return sorted((cve for cve in found if wanted in {None, cve["id"]}), key=lambda cve: str(cve["published"]))

    def _between(self, cves: Iterable[Cve], name: str, start: str | None, end: str | None) -> Iterable[Cve]:
        if start is None and end is None:
            return cves
        if start is None or end is None:
            raise Refused(f"{' and '.join(RANGES[name])} must both be given.")
        first, last = self._time(start), self._time(end)
        if not timedelta(0) <= last - first <= LONGEST_RANGE:
            raise Refused("The range of dates must not be above 120 days, nor end before it starts.")
        return [cve for cve in cves if first <= _utc(cve[name]) <= last]

    def _time(self, text: str) -> datetime:
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            value = None
        if value is None or "T" not in text or (self.zone_required and value.tzinfo is None):
            raise Refused("Invalid ISO 8601 date/time format, see documentation.")
        return value if value.tzinfo else value.replace(tzinfo=UTC)


def _pieces(text: str) -> Iterator[bytes]:
    return (text[at : at + PIECE].encode() for at in range(0, len(text), PIECE))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _number(asked: Asked, name: str, *, default: int, most: int | None) -> int:
    text = asked.parameters.get(name, str(default))
    if not text.isdecimal() or (most is not None and not 1 <= int(text) <= most):
        raise Refused(f"Invalid {name}.")
    return int(text)


def _severities(cve: Cve, metrics: tuple[str, ...]) -> set[str]:
    found = [metric for name in metrics for metric in cve.get("metrics", {}).get(name, [])]
    return {str(metric.get("baseSeverity", metric["cvssData"].get("baseSeverity"))) for metric in found}
