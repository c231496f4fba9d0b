"""Requests that a source declares beside that of its list, and what their texts name in braces."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, JsonValue, field_validator

from flows_platform.declared import HTTP_URL, Declared, refused
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.body import BodyForm, texts_in
from flows_platform.fetch.range_templates import Bounds

_NAME = re.compile(r"\{([a-z]+)\}")

# An id that a source gives, as it gave it: a body sends it back unchanged.
type Id = str | int
type Named = Mapping[str, Id | list[Id]]


class DeclaredRequest(Declared):
    """A request of its own."""

    url: str = Field(pattern=HTTP_URL, description="The full endpoint.")
    method: Literal["GET", "POST"] = Field("GET", description="The request's method.")
    body: dict[str, JsonValue] | list[JsonValue] | None = Field(
        None, description="POST: the body; a secret as {env: NAME}, which is masked."
    )
    body_form: BodyForm = Field(BodyForm.JSON, description="How the body is written.")

    @field_validator("url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        # guard: an id chooses no host
        if found := _NAME.search(urlsplit(url).netloc):
            raise refused(f"{found[0]} is in the host: secrets would go wherever the source says")
        return url

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that may name something in braces."""
        return (self.url, *texts_in(self.body or {}))

    @property
    def names(self) -> frozenset[str]:
        """The names that its texts have in braces."""
        return frozenset(name for text in self.texts for name in _NAME.findall(text))


@dataclass(frozen=True, slots=True)
class Filling:
    """What the texts of a request name: the bounds of its range, and values such as {id}. Other braces stay."""

    bounds: Bounds | None = None
    named: Named = field(default_factory=dict)

    def url(self, text: str) -> str:
        """A URL: its bounds may write the slashes between folders, values are percent-encoded.

        Raises:
            ConfigurationError: a bound cannot be written.
            SourceRefused: a value would change the path of the URL.
        """
        filled = self.bounds.fill(text, lambda bound: quote(bound, safe="/:")) if self.bounds else text
        return self._with_names(filled, _in_url)

    def value(self, text: str) -> object:
        """A text of a JSON body: a value that is alone in it stays a number or a list.

        Raises:
            ConfigurationError: a bound cannot be written.
        """
        alone = _NAME.fullmatch(text)
        if alone and alone[1] in self.named:
            return self.named[alone[1]]
        filled = self.bounds.value(text) if self.bounds else text
        return self._with_names(filled, str) if isinstance(filled, str) else filled

    def _with_names(self, text: str, quoted: Callable[[str], str]) -> str:
        def filled(found: re.Match[str]) -> str:
            if found[1] not in self.named:
                return found[0]
            value = self.named[found[1]]
            return ",".join(quoted(str(one)) for one in (value if isinstance(value, list) else [value]))

        return _NAME.sub(filled, text)


def id_of(value: object) -> Id | None:
    """The value as an id, if it is a text or a whole number."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _in_url(value: str) -> str:
    # guard: an id changes no path
    if value in {"", ".", ".."}:
        raise SourceRefused(f"the source gives the id {value!r}, which a URL cannot hold.")
    return quote(value, safe="")
