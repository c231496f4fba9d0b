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
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flows_platform.domain.errors import PlatformError

MASK = "***"
MAX_UNIT = 0xFFFF  # what one \\u of JSON can say
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
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=place, query=urlencode(query, safe="*"), fragment=""))


def place(url: str) -> str:
    """The URL without credentials and query: for messages."""
    return public_url(urlunsplit(urlsplit(url)._replace(query="")))


@dataclass(frozen=True, slots=True)
class Redactor:
    """Masks some secrets, in every spelling in which they travel: plain, in URLs, in JSON, in XML, in base64."""

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, text: str) -> str:
        """The text with each secret masked."""
        found = _spellings(self.secrets)
        # guard: secrets are masked in texts
        return found.sub(MASK, text) if found else text

    @contextmanager
    def errors(self) -> Iterator[None]:
        """A PlatformError raised inside leaves without the secrets, and without causes that hold them."""
        try:
            yield
        except PlatformError as error:
            shown = self(str(error)) != str(error)
            # guard: secrets are masked in errors
            error.message, error.remedy = self(error.message), self(error.remedy)
            error.args = (error.message,)
            if shown or any(self(str(cause)) != str(cause) for cause in _causes(error)):
                # guard: causes that hold secrets go
                error.__cause__ = error.__context__ = None
            raise


@lru_cache(maxsize=64)
def _spellings(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches each secret however it is written; the longest first, since one may be part of another.

    Signs may be escaped as in URLs, JSON or XML, all or some of them, in capitals or not; base64 is of the whole.
    """
    long = sorted({each for each in secrets if len(each) >= SHORTEST}, key=len, reverse=True)
    coded = [b64encode(each.encode(errors="surrogateescape")).decode().rstrip("=") for each in long]
    safe = [each.translate(URL_SAFE) for each in coded]
    texts = ["".join(map(_written, each)) for each in long]
    return re.compile("|".join([*texts, *(re.escape(each) + "=*" for each in {*coded, *safe})])) if long else None


def _written(character: str) -> str:
    """A pattern for the ways to write a character. Letters and digits stand for themselves: the search is for these."""
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
    return "".join(f"[{each.lower()}{each.upper()}]" if letters.match(each) else re.escape(each) for each in text)


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    cause = error.__cause__ or error.__context__
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
