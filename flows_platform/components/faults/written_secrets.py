"""Secrets that an author wrote into a file, by the names of headers, parameters and members, or into a URL."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from flows_platform.components.rules import texts_at
from flows_platform.components.yaml_text import SENT
from flows_platform.declared import Fault, KeyPath
from flows_platform.domain.redaction import SHORTEST

_NAME = re.compile(
    r"(?:proxy-)?authorization|cookie"
    r"|.*(?:secret|password|passwd|passphrase|pwd)"
    r"|.*(?:api|app|application|access|account|auth|private|shared|signing|subscription)[-_.]?key"
    r"|(?:.*(?:access|api|app|auth|bearer|private|refresh|security|session)[-_.]?)?token",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|SSWS|ApiKey) +\S{8}", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))")
_WORDS = {"true", "false", "none", "null"}


def written_secrets(given: object) -> Iterator[Fault]:
    """The values of a declaration that are secrets, or that name a variable in a form that nothing replaces."""
    for at, text in texts_at(given):
        yield from _of_text(text, at)


def is_secret_name(name: str) -> bool:
    """Whether the value of a header, parameter or member of this name is a secret."""
    return name.casefold() == "key" or _NAME.fullmatch(name) is not None


def _of_text(text: str, at: KeyPath) -> Iterator[Fault]:
    names = [name for name in at if isinstance(name, str)]
    sent = not SENT.isdisjoint(names)
    variable = _VARIABLE.fullmatch(text)
    if variable and sent:
        yield Fault(at, f"nothing replaces this text; write {{env: {variable[1] or variable[2]}}}")
    # guard: a secret is not written into a request
    elif sent and "env" not in names and "{{" not in text and _is_secret(names[-1], text):
        yield Fault(at, "a secret does not belong in a file: write {env: NAME}, and set that variable")
    elif names and names[-1].endswith("url"):
        yield from _of_url(text, at)


def _is_secret(name: str, text: str) -> bool:
    named = _NAME.fullmatch(name) is not None and len(text) >= SHORTEST and text.casefold() not in _WORDS
    return named or _SCHEME.match(text) is not None


def _of_url(text: str, at: KeyPath) -> Iterator[Fault]:
    try:
        parts = urlsplit(text)
    except ValueError:  # another rule refuses it
        return
    # guard: no credentials in a URL of a file
    if "@" in parts.netloc:
        yield Fault(at, "the URL holds a user or password: write `auth: {kind: basic, …}` instead")
    for name, value in parse_qsl(parts.query):
        if _is_secret(name, value):
            yield Fault(at, f"a secret does not belong in a file: write {{{name}: {{env: NAME}}}} under `parameters`")
