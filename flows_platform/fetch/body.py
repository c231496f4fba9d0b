"""The body a source declares for its requests: JSON or a form, with the bounds of the range and secrets by name."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlencode

from pydantic import JsonValue

from flows_platform.declared import KeyPath, Secret, Secrets

type Body = dict[str, JsonValue] | list[JsonValue]

_LEFT_OUT = object()  # an optional secret that is not set


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
    filled = _filled_object(body, filling, secrets) if isinstance(body, dict) else _filled_array(body, filling, secrets)
    if isinstance(filled, list) or form is BodyForm.JSON:
        return json.dumps(filled, ensure_ascii=False).encode()
    return urlencode({name: as_text(value) for name, value in filled.items()}).encode()


def as_text(value: object) -> str:
    """A value as a query or a form writes it: true and false as JSON does, a list with commas."""
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(value: JsonValue, filling: Fills, secrets: Mapping[str, str]) -> object:
    if is_secret(value):
        return secrets[Secret.model_validate(value).env] or _LEFT_OUT
    if isinstance(value, dict):
        return _filled_object(value, filling, secrets)
    if isinstance(value, list):
        return _filled_array(value, filling, secrets)
    return filling.value(value) if isinstance(value, str) else value


def _filled_array(value: list[JsonValue], filling: Fills, secrets: Mapping[str, str]) -> list[object]:
    members = [_filled(member, filling, secrets) for member in value]
    return [member for member in members if member is not _LEFT_OUT]


def _filled_object(value: dict[str, JsonValue], filling: Fills, secrets: Mapping[str, str]) -> dict[str, object]:
    inner = {name: _filled(member, filling, secrets) for name, member in value.items()}
    return {name: member for name, member in inner.items() if member is not _LEFT_OUT}
