"""Qualys' detection list and KnowledgeBase as a server over records that a test may change between pages.

What is known of the real one, and kept here: basic authentication and X-Requested-With on every call; errors are
SIMPLE_RETURN documents; both limits answer 409 and the one on concurrency comes first; the truncation limit counts
hosts; hosts without a matching detection are left out; information gathered and fixed detections come only when asked.

Whether the bounds of a time range are inclusive is documented nowhere: the vendor says "after" and "before". `bounds`
is therefore a setting: a client is right only when it is right under all four. A detection that never changed is
compared by its last detection; one without any time is left out of every range.
"""

import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from . import qualys_documents as documents
from .qualys_objects import Detection, Host, HostSource, Tally, Vuln, written
from .qualys_parameters import Bounds, Refused, above_rate, ids, invalid, number, within
from .serving import Answer, Asked, Clock, Fault, RollingBudget, VendorServer

DETECTIONS = "/api/2.0/fo/asset/host/vm/detection/"
KNOWLEDGE_BASE = "/api/2.0/fo/knowledge_base/vuln/"
SHAPES = {  # path: the root element, and the parameters beside `action`
    DETECTIONS: (
        "HOST_LIST_VM_DETECTION_OUTPUT",
        {"detection_updated_since", "detection_updated_before", "truncation_limit", "id_min", "id_max", "ids"}
        | {"status", "show_igs", "show_results", "output_format", "echo_request"},
    ),
    KNOWLEDGE_BASE: (
        "KNOWLEDGE_BASE_VULN_LIST_OUTPUT",
        {"last_modified_after", "last_modified_before", "id_min", "id_max", "ids", "details", "echo_request"},
    ),
}
ONLY = {"show_results": "1", "output_format": "XML", "echo_request": "0", "action": "list"}  # what is served of these
SHOWN_BY_DEFAULT = "New,Active,Re-Opened"


class QualysServer(VendorServer):
    """`hosts` (a list, or a source such as a history) and `vulns` are the data; see VendorServer for the rest.

    `sent` tallies the detections that were sent, again for those sent again.
    """

    def __init__(
        self,
        hosts: Iterable[Host] | HostSource = (),
        vulns: Iterable[Vuln] = (),
        *,
        user: str = "acme_ab12",
        password: str = "passwd",  # noqa: S107 - of a server that lives for one test
        rate_limit: int = 300,
        window_seconds: int = 3600,
        concurrency_limit: int = 2,
        keep_alive_every: int = 0,  # records between two comments
        bounds: Bounds = "()",
        empty_hosts: bool = False,  # whether hosts without a matching detection are sent
        next_origin: str | None = None,  # where the next page's URL points instead of here
        clock: Clock = time.time,
    ) -> None:
        super().__init__(clock)
        self.hosts = hosts if hasattr(hosts, "from_id") else list(hosts)
        self.vulns = list(vulns)
        self.concurrency_limit, self.keep_alive_every = concurrency_limit, keep_alive_every
        self.bounds, self.empty_hosts, self.next_origin = bounds, empty_hosts, next_origin
        self.sent = Tally()
        self._authorization = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self._budgets = {path: RollingBudget(rate_limit, window_seconds, clock) for path in SHAPES}

    @property
    def detections_url(self) -> str:
        return self.origin + DETECTIONS

    @property
    def knowledge_base_url(self) -> str:
        return self.origin + KNOWLEDGE_BASE

    def simple_return(self, status: int, code: int, text: str, **items: object) -> Fault:
        """A fault: this error document, with whatever status."""
        return Fault(self._error(Refused(status, code, text, **items)))

    def answer(self, asked: Asked) -> Answer:
        wait = 0.0
        budget = self._budgets.get(asked.path)
        try:
            self._check_caller(asked)
            self._check_running()
            wait = budget.take() if budget else 0.0
            if wait:
                raise above_rate(wait)
            self._check_parameters(asked)
            body = self._detections(asked) if asked.path == DETECTIONS else self._knowledge_base(asked)
            answer = Answer(200, {"Content-Type": "application/xml"}, self._document(asked.path, body))
        except Refused as reason:
            answer = self._error(reason)
        return Answer(answer.status, answer.headers | self._limits(budget, wait), answer.body)

    def _error(self, reason: Refused) -> Answer:
        dtd = f"{self.origin}/api/2.0/simple_return.dtd"
        body = documents.simple_return(dtd, self._now(), reason.code, reason.text, reason.items)
        return Answer(reason.status, {"Content-Type": "application/xml"}, [body])

    def _limits(self, budget: RollingBudget | None, wait: float) -> dict[str, str]:
        if budget is None:
            return {}
        return {
            "X-RateLimit-Limit": str(budget.limit),
            "X-RateLimit-Window-Sec": str(int(budget.seconds)),
            "X-Concurrency-Limit-Limit": str(self.concurrency_limit),
            "X-Concurrency-Limit-Running": str(self.running - 1),  # recorded answers do not count themselves
            "X-RateLimit-ToWait-Sec": str(-int(-wait // 1)),
            "X-RateLimit-Remaining": str(budget.remaining),
        }

    def _check_caller(self, asked: Asked) -> None:
        if asked.headers.get("authorization") != self._authorization:
            raise Refused(401, 2000, "Bad Login/Password")
        if not asked.headers.get("x-requested-with"):
            raise Refused(400, 1903, "Missing required header: X-Requested-With")

    def _check_running(self) -> None:
        if self.running > self.concurrency_limit:
            text = "This API cannot be run again until 1 currently running API instance has finished."
            raise Refused(409, 1960, text, CALLS_TO_FINISH=1)

    def _check_parameters(self, asked: Asked) -> None:
        if asked.path not in SHAPES:
            raise Refused(404, 999, "Not found")
        if unknown := asked.parameters.keys() - SHAPES[asked.path][1] - {"action"}:
            raise Refused(400, 1901, f"Unrecognized parameter(s): {', '.join(sorted(unknown))}")
        if "action" not in asked.parameters:
            raise Refused(400, 1903, "Missing required parameter(s): action")
        for name, value in asked.parameters.items():
            if name in ONLY and value != ONLY[name]:
                raise invalid(name, value, f"must be {ONLY[name]}")

    def _document(self, path: str, body: Iterator[bytes]) -> Iterator[bytes]:
        root = SHAPES[path][0]
        dtd = f"{self.origin}{path}{root.lower()}.dtd"  # here: a client that fetches it shows in `requests`
        return documents.document(root, dtd, self._now(), body, keep_alive_every=self.keep_alive_every)

    def _now(self) -> str:
        return written(datetime.fromtimestamp(self.clock(), UTC))

    def _detections(self, asked: Asked) -> Iterator[bytes]:
        limit = number(asked, "truncation_limit", 1000)
        shown = self._shown(asked)
        lowest, highest, wanted = number(asked, "id_min", 0), number(asked, "id_max", 0), ids(asked)
        hosts = self._from(lowest)
        self.page_fixed()
        found = (
            (host, detections)
            for host in hosts
            if (not highest or host.number <= highest) and (wanted is None or host.number in wanted)
            if (detections := [one for one in host.detections if shown(one)]) or self.empty_hosts
        )
        return self._page(asked, found, limit)

    def _page(self, asked: Asked, found: Iterator[tuple[Host, list[Detection]]], limit: int) -> Iterator[bytes]:
        records = (self._host(host, detections) for host, detections in islice(found, limit or None))
        yield from documents.listed("HOST_LIST", records)
        if rest := next(found, None):
            parameters = asked.parameters | {"id_min": str(rest[0].number)}
            url = f"{self.next_origin or self.origin}{DETECTIONS}?{urlencode(parameters, safe=':,')}"
            yield documents.truncation_warning(limit, url)

    def _host(self, host: Host, detections: list[Detection]) -> bytes:
        with self.lock:  # pages may be under way side by side
            self.sent.add(detections)
        return documents.host(host.head, (detection.xml for detection in detections))

    def _from(self, lowest: int) -> Iterator[Host]:
        if not isinstance(self.hosts, list):
            return self.hosts.from_id(lowest)
        return iter(sorted((host for host in self.hosts if host.number >= lowest), key=lambda host: host.number))

    def _shown(self, asked: Asked) -> Callable[[Detection], bool]:
        statuses = {*asked.parameters.get("status", SHOWN_BY_DEFAULT).split(","), ""}
        gathered = asked.parameters.get("show_igs") == "1"
        fits = within(asked, "detection_updated_since", "detection_updated_before", self.bounds)
        return lambda one: one.status in statuses and (gathered or one.kind != "Info") and fits(one.updated)

    def _knowledge_base(self, asked: Asked) -> Iterator[bytes]:
        fits = within(asked, "last_modified_after", "last_modified_before", self.bounds)
        lowest, highest, wanted = number(asked, "id_min", 0), number(asked, "id_max", 0), ids(asked)
        found = [
            vuln
            for vuln in self.vulns
            if fits(vuln.modified) and vuln.qid >= lowest and (not highest or vuln.qid <= highest)
            if wanted is None or vuln.qid in wanted
        ]
        self.page_fixed()
        records = (b"      %b\n" % vuln.xml for vuln in found)
        return documents.listed("VULN_LIST", records)
