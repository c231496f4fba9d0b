"""What one try at a window did, for the author of a source: its requests, why paging ended, what nothing reads."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Answered:
    """An answer that came: its URL without secrets, its status, and the records of its document once it was read.

    A token's answer has no records.
    """

    url: str
    status: int
    records: int = 0


@dataclass(slots=True)
class Trace:
    """The stream fills it while it fetches a window; every try starts it again.

    `ended` says why no further page was requested. `unread` names the values around the records that nothing reads.
    Only the last `kept` requests are kept, if it is set: a window may need 100,000.
    """

    requests: list[Answered] = field(default_factory=list)
    ended: str = ""
    unread: list[str] = field(default_factory=list)
    kept: int | None = None

    def begin(self) -> None:
        """Forget how an earlier try ended, but keep its requests."""
        self.ended = ""
        self.unread.clear()

    def answered(self, url: str, status: int) -> None:
        """Note that an answer's head came."""
        self.requests.append(Answered(url, status))
        if self.kept is not None:
            del self.requests[: -self.kept]

    def read(self, records: int) -> None:
        """Note that the last answer's document was read."""
        self.requests[-1].records = records
