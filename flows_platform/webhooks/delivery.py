"""A delivery as it arrived, and the errors of deliveries whose sender is not proven."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

# Fetches a URL that is needed to verify a delivery; raises ProofUnavailable.
type Fetch = Callable[[str], bytes]


class Unverified(Exception):
    """The delivery does not prove who sent it.

    Args:
        what: What is wrong: `signature`, `timestamp` or `key`.
        why: A sentence for the sender, which never contains any piece of a secret or of a signature.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(why)
        self.what = what


class ProofUnavailable(Exception):
    """What is needed to verify the delivery cannot be fetched now. The delivery may be sent again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to a webhook.

    Args:
        body: The bytes as they came, before any decompression.
        headers: All values of every header, by its name in lower case.
        received: When the request arrived, in UTC.
        url_keys: Keys in the URL: its last segment, or the values of the parameter `key`.
        sender: The address from which it came.
        id: The delivery's id, if an envelope has it.
    """

    body: bytes
    headers: Mapping[str, tuple[str, ...]]
    received: datetime
    url_keys: tuple[str, ...] = field(default=(), repr=False)
    sender: str = ""
    id: str | None = None

    def header(self, name: str) -> str | None:
        """The value of a header; None if it is missing.

        Raises:
            Unverified: the header came more than once, so that it is not clear which value counts.
        """
        values = self.headers.get(name.lower(), ())
        # guard: a header that proves comes once
        if len(values) > 1:
            raise Unverified("signature", f"The header {name} came {len(values)} times.")
        return values[0] if values else None
