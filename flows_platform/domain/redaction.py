"""The one home of redaction: what must not be shown of URLs, texts and errors. Everything else asks here.

A secret is a value that was declared as one; in URLs also the value of any parameter whose name says so.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from flows_platform.domain.errors import PlatformError

MASK = "***"
SHORTEST = 4  # characters; masking every "1" would leave no message readable
SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|credential|signature|^sig$|^auth|api_?-?key|^key$|session", re.IGNORECASE
)


def public_url(url: str, secret_names: AbstractSet[str] = frozenset()) -> str:
    """The URL without credentials, fragment and the values of secret parameters."""
    parts = urlsplit(url)
    query = [
        (name, MASK if name in secret_names or SECRET_NAME.search(name) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=place, query=urlencode(query, safe="*"), fragment=""))


def place(url: str) -> str:
    """The URL without credentials and query: for messages."""
    return public_url(urlunsplit(urlsplit(url)._replace(query="")))


@dataclass(frozen=True, slots=True)
class Redactor:
    """Masks some secrets, in every spelling in which they travel: plain, in URLs, in JSON, in base64."""

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, text: str) -> str:
        """The text with each secret masked."""
        for spelling in self._spellings():
            text = text.replace(spelling, MASK)
        return text

    def _spellings(self) -> list[str]:
        """Longest first: a secret may be part of another's spelling."""
        found = {
            spelling
            for secret in self.secrets
            if len(secret) >= SHORTEST
            for spelling in (
                secret,
                quote(secret, safe=""),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
                b64encode(secret.encode()).decode(),
            )
        }
        return sorted(found, key=len, reverse=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """A PlatformError raised inside leaves without the secrets, and without causes that hold them."""
        try:
            yield
        except PlatformError as error:
            shown = self(str(error)) != str(error)
            error.message, error.remedy = self(error.message), self(error.remedy)
            error.args = (error.message,)
            if shown or any(self(str(cause)) != str(cause) for cause in _causes(error)):
                error.__cause__ = error.__context__ = None
            raise


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    cause = error.__cause__ or error.__context__
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
