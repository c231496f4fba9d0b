"""What a stream's footer declares, as any format spells it."""

import re
from dataclasses import dataclass

COUNT_TEXT = re.compile(r"[0-9]{1,19}", re.ASCII)
DIGEST_TEXT = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Declared:
    """The number of records, and the digest of their rows in hex where the server gave it."""

    count: int
    digest: str | None = None


def declared(count: object, digest: object = None) -> Declared | None:
    """The footer of these two values; None where the count is none. A digest of another kind than ours is ignored."""
    if type(count) is not int or count < 0:
        return None
    known = isinstance(digest, str) and DIGEST_TEXT.fullmatch(digest)
    return Declared(count, str(digest) if known else None)


def declared_text(count: str | None, digest: str | None = None) -> Declared | None:
    """As `declared`, in formats where all is text."""
    return declared(int(count), digest) if count and COUNT_TEXT.fullmatch(count) else None
