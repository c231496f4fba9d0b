"""A delivery as it arrived, and the reasons to refuse one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

# Reads a URL that a proof needs; raises ProofUnavailable.
type Fetch = Callable[[str], bytes]


class Unverified(Exception):
    """A delivery that does not prove its sender.

    Args:
        what: What is wrong: `signature`, `timestamp` or `key`.
        why: A sentence for the sender. It never has a piece of a secret or of a signature.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(why)
        self.what = what


class ProofUnavailable(Exception):
    """What proves a delivery cannot be fetched now; it may be sent again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The bytes of a request to a webhook, and what came with them.

    Args:
        body: The bytes as they came, before any decompression.
        headers: By name in lower case; a header that came several times has several values.
        received: When the request arrived, in UTC.
        url_keys: Keys in the URL: its last segment, or the values of the parameter `key`.
        sender: The address that sent it.
        id: Its id, where an envelope named it.
    """

    body: bytes
    headers: Mapping[str, tuple[str, ...]]
    received: datetime
    url_keys: tuple[str, ...] = field(default=(), repr=False)
    sender: str = ""
    id: str | None = None

    def header(self, name: str) -> str | None:
        """The value of a header; None where it is missing.

        Raises:
            Unverified: it came more than once, so that its meaning is open.
        """
        values = self.headers.get(name.lower(), ())
        # guard: a header that proves comes once
        if len(values) > 1:
            raise Unverified("signature", f"The header {name} came {len(values)} times.")
        return values[0] if values else None
