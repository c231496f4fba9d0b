"""The body a source declares for its requests: JSON or a form, with the bounds of the range and secrets by name."""

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlencode

from pydantic import JsonValue

from flows_platform.declared import KeyPath, Secret, Secrets

type Body = dict[str, JsonValue] | list[JsonValue]

LEFT_OUT = object()  # an optional secret that is not set


class Fills(Protocol):
    """Gives the value of a text of a body."""

    def value(self, text: str) -> object: ...


class BodyForm(StrEnum):
    """How a body is written."""

    JSON = "json"
    FORM = "form"

    @property
    def content_type(self) -> str:
        return "application/json" if self is BodyForm.JSON else "application/x-www-form-urlencoded"


def is_secret(value: JsonValue) -> bool:
    """Whether the value names a secret: an object with `env` and at most `required`."""
    return isinstance(value, dict) and "env" in value and value.keys() <= {"env", "required"}


def leaves(value: JsonValue, at: KeyPath = ()) -> Iterator[tuple[KeyPath, JsonValue]]:
    """The values that hold no others, with their paths; a secret is one value."""
    if is_secret(value) or not isinstance(value, dict | list):
        yield at, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(inner, (*at, key))


def secrets_in(body: Body) -> list[Secret]:
    """The secrets that the body names."""
    return [Secret.model_validate(value) for _, value in leaves(body) if is_secret(value)]


def texts_in(body: Body) -> Iterator[str]:
    """The texts of the body."""
    return (value for _, value in leaves(body) if isinstance(value, str))


def encoded(body: Body, form: BodyForm, filling: Fills, secrets: Secrets) -> bytes:
    """The body as it is sent. An optional secret that is not set is left out.

    Raises:
        ConfigurationError: a bound cannot be written.
    """
    filled = changed(body, filling.value, lambda secret: secrets[Secret.model_validate(secret).env] or LEFT_OUT)
    if isinstance(filled, list) or form is BodyForm.JSON:
        return json.dumps(filled, ensure_ascii=False).encode()
    return urlencode({name: as_text(value) for name, value in filled.items()}).encode()


def changed(value: JsonValue, text: Callable[[str], object], secret: Callable[[JsonValue], object]) -> Any:
    """The body, or a value in it, with its texts and secrets replaced; what becomes LEFT_OUT is left out."""
    if is_secret(value):
        return secret(value)
    if isinstance(value, dict):
        members = {name: changed(member, text, secret) for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not LEFT_OUT}
    if isinstance(value, list):
        elements = [changed(element, text, secret) for element in value]
        return [element for element in elements if element is not LEFT_OUT]
    return text(value) if isinstance(value, str) else value


def as_text(value: object) -> str:
    """A value as a query or a form writes it: true and false as JSON does, a list with commas."""
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
