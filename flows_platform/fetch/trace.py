"""What one try at a window did, for whoever writes a source: its requests, why paging ended, what nothing reads."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Answered:
    """An answer that came: its URL without secrets, its status, and the records of its document once it was read."""

    url: str
    status: int
    records: int = 0


@dataclass(slots=True)
class Trace:
    """Filled while a window is fetched; each try begins it again.

    `ended` says why no further page was asked for. `unread` names what stands around the records and nothing reads.
    """

    requests: list[Answered] = field(default_factory=list)
    ended: str = ""
    unread: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Forgets how an earlier try ended; its requests were made, and stay."""
        self.ended = ""
        self.unread.clear()

    def answered(self, url: str, status: int) -> None:
        """An answer's head came."""
        self.requests.append(Answered(url, status))

    def read(self, records: int) -> None:
        """The last answer's document was read."""
        self.requests[-1].records = records
