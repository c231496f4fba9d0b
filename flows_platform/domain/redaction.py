"""Redaction: what URLs, texts and errors must not show. All other modules use this one.

A secret is a value declared as one; in a URL it is also the value of any parameter whose name says so.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flows_platform.domain.errors import PlatformError

MASK = "***"
MAX_UNIT = 0xFFFF  # the highest code point that one \\u of JSON can write
URL_SAFE = str.maketrans("+/", "-_")
XML_NAMES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
SHORTEST = 4  # characters; masking every "1" would leave no message readable
SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|credential|signature|^sig$|^auth|api_?-?key|^key$|session", re.IGNORECASE
)


def public_url(url: str, secret_names: AbstractSet[str] = frozenset()) -> str:
    """The URL without credentials, fragment and the values of secret parameters."""
    parts = urlsplit(url)
    # guard: secrets are masked in URLs
    query = [
        (name, MASK if name in secret_names or SECRET_NAME.search(name) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query, safe="*"), fragment=""))


def bare_url(url: str) -> str:
    """The URL without credentials and query, for messages."""
    return public_url(urlunsplit(urlsplit(url)._replace(query="")))


@dataclass(frozen=True, slots=True)
class Redactor:
    """Masks secrets in every spelling in which they travel: plain, in URLs, in JSON, in XML, in base64."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    issued: Callable[[], tuple[str, ...]] = tuple  # secrets that may come later, such as tokens

    def __call__(self, text: str) -> str:
        """The text with all secrets masked."""
        found = _spellings((*self.secrets, *self.issued()))
        # guard: secrets are masked in texts
        return found.sub(MASK, text) if found else text

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Remove the secrets from a PlatformError raised inside, and the causes that hold them."""
        try:
            yield
        except PlatformError as error:
            shown = self(str(error)) != str(error)
            # guard: secrets are masked in errors
            error.reword(self(error.message), self(error.remedy))
            if shown or any(self(str(cause)) != str(cause) for cause in _causes(error)):
                # guard: causes that hold secrets go
                error.__cause__ = error.__context__ = None
            raise


@lru_cache(maxsize=64)
def _spellings(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches any of the secrets in any spelling; the longest first, since one secret may be part of another.

    A spelling may escape all or some characters, as URLs, JSON or XML do, in upper or lower case. Base64 encodes the
    whole secret.
    """
    long = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
    coded = [b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=") for secret in long]
    safe = [code.translate(URL_SAFE) for code in coded]
    texts = ["".join(map(_written, secret)) for secret in long]
    return re.compile("|".join([*texts, *(re.escape(code) + "=*" for code in {*coded, *safe})])) if long else None


def _written(character: str) -> str:
    """A pattern for all ways to write a character. A letter or digit matches only itself: so the search stays fast."""
    if character.isascii() and character.isalnum():
        return character
    octets, code = character.encode(errors="surrogateescape"), ord(character)
    percent = "".join(f"%{octet:02x}" for octet in octets)
    ways = [re.escape(character), _any_case(percent), _any_case(percent.replace("%", "%25"))]
    ways += [re.escape(escaped) for escaped in {json.dumps(character)[1:-1], repr(character)[1:-1], f"\\{character}"}]
    ways += [_any_case(json.dumps(character)[1:-1]), *(f"&(?:{name});" for name in [_entity(character, code)])]
    if code <= MAX_UNIT:
        ways.append(_any_case(f"\\u{code:04x}"))
    if character == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(dict.fromkeys(sorted(ways, key=len, reverse=True)))})"


def _entity(character: str, code: int) -> str:
    named = XML_NAMES.get(character)
    return "|".join(filter(None, [named, f"#0*{code}", f"#[xX]0*{_any_case(format(code, 'x'))}"]))


def _any_case(text: str) -> str:
    letters = re.compile("[A-Za-z]")
    return "".join(f"[{sign.lower()}{sign.upper()}]" if letters.match(sign) else re.escape(sign) for sign in text)


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    cause = error.__cause__ or error.__context__
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
