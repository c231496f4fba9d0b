"""Short tokens: claims with a signature. They are not stored; a key is enough to verify them.

The only algorithm is HMAC with SHA-256. Tokens do not name it, so no token can choose another.
"""

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from api_server.http.tokens import SHORT_MARK

MAC = 43  # characters of a SHA-256 in URL-safe base64, without padding
SHAPE = re.compile(SHORT_MARK + r"[A-Za-z0-9_-]{44,4096}", re.ASCII)
SKEW = 60  # seconds by which our clock may be behind that of the server which signed
LIFE = 600  # seconds for which a short token is valid


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a short token.

    Args:
        parent: The mark of the long-lived token for which it was exchanged.
        scopes: Its scopes, none wider than those of the parent.
        issued: When it was issued, in seconds since 1970.
        expires: When it expires, in seconds since 1970.
    """

    parent: str
    scopes: tuple[str, ...]
    issued: int
    expires: int

    def counts_at(self, now: float) -> bool:
        """Whether the token is valid at this time. One from the future shows that a clock was set back."""
        # guard: short tokens end
        return self.issued - SKEW <= now < self.expires


def sign(claims: Claims, key: str) -> str:
    """The token."""
    fields = [claims.parent, claims.scopes, claims.issued, claims.expires]
    text = SHORT_MARK + _base64(json.dumps(fields, separators=(",", ":")).encode())
    return text + _mac(text, key)


def claims_of(token: str, keys: Sequence[str]) -> Claims | None:
    """The claims of a token that one of the keys has signed, else None. Constant time for tokens of equal length."""
    if not SHAPE.fullmatch(token):
        return None
    text, mac = token[:-MAC], token[-MAC:]
    # guard: short tokens are signed
    if not any([hmac.compare_digest(mac, _mac(text, key)) for key in keys]):  # noqa: C419  all keys are compared
        return None
    code = text.removeprefix(SHORT_MARK)
    parent, scopes, issued, expires = json.loads(urlsafe_b64decode(code + "=" * (-len(code) % 4)))
    return Claims(parent, tuple(scopes), issued, expires)


def _mac(text: str, key: str) -> str:
    return _base64(hmac.digest(key.encode(), text.encode(), sha256))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
