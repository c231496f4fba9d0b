"""A source that is asked once per value of a list: the list as it is declared, and a value in the texts of requests."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlsplit

from pydantic import Field, JsonValue

from flows_platform.columns.cast_values import shown
from flows_platform.declared import NAME, Declared
from flows_platform.domain.errors import ConfigurationError, named_in_errors
from flows_platform.fetch.body import changed
from flows_platform.fetch.declared_request import DeclaredRequest

RESERVED = frozenset({"start", "end", "id", "ids", "job", "part"})  # names of other templates
_TEMPLATE = re.compile(rf"\{{(?:{'|'.join(sorted(RESERVED))})(?::[^{{}}]*)?\}}")
_SEPARATORS = re.compile(r"[,\n]")


class ValuesFile(Declared):
    """Values in a file, one a line."""

    file: str = Field(min_length=1, description="Its path; a relative one starts at the YAML file's folder. UTF-8.")


class ValuesVariable(Declared):
    """Values in an environment variable."""

    env: str = Field(pattern=NAME, description="Its name; commas or line ends separate values.")


@dataclass(frozen=True)
class Values:
    """The values as they were when a run started, in order; `name` is in the requests' texts, in braces."""

    name: str
    texts: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the values, in hex; line ends separate them."""
        return sha256("\n".join(self.texts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ForEach:
    """Where the values are; relative paths start at `folder`."""

    name: str
    source: tuple[str, ...] | ValuesFile | ValuesVariable
    folder: Path

    def values(self, environment: Callable[[str], str | None]) -> Values:
        """The values as they are now.

        Raises:
            ConfigurationError: the file or the variable cannot be read, or one of the values cannot be used.
        """
        if isinstance(self.source, ValuesFile):
            path = self.folder.absolute() / self.source.file
            return Values(self.name, _checked(self.name, str(path), _lines(path)))
        if isinstance(self.source, ValuesVariable):
            given = _SEPARATORS.split(environment(self.source.env) or "")
            where = f"the environment variable {self.source.env}"
            return Values(self.name, _checked(self.name, where, enumerate(given, start=1)))
        return Values(self.name, _checked(self.name, "the list", enumerate(self.source, start=1)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from enumerate(lines, start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file {path} with the values of `for_each` cannot be read: {error}.", remedy="One value a line, UTF-8."
        ) from error


def _checked(name: str, where: str, given: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """The values without the white space around them and without empty ones."""
    known: dict[str, int] = {}
    for number, text in given:
        value = text.strip()
        if not value:
            continue
        if why := fault_of_value(value):
            raise ConfigurationError(f"value {number} of {name} in {where}, {shown(value)}, {why}.")
        # guard: a value is pulled once
        if value in known:
            raise ConfigurationError(
                f"{where} has {shown(value)} twice, as values {known[value]} and {number} of {name}.",
                remedy="Each value is a pull of its own: leave one of the two out.",
            )
        known[value] = number
    # guard: a window without a pull is not an empty window
    if not known:
        raise ConfigurationError(
            f"{where} has no value of {name}: nothing would be pulled, and the window would look empty.",
            remedy="Write one value at least; where nothing is to be pulled, leave the source out.",
        )
    return tuple(known)


def fault_of_value(value: str) -> str:
    """Why a value cannot be used; empty if it can."""
    # guard: values hold no line ends and no templates
    if not value.isprintable():
        return "has a control character"
    if found := _TEMPLATE.search(value):
        return f"has {found[0]}, which means another value in requests"
    return ""


@dataclass(frozen=True, slots=True)
class Pull:
    """One value of the list, written into the texts of its requests."""

    name: str
    value: str

    @property
    def _slot(self) -> str:
        return f"{{{self.name}}}"

    def text(self, text: str) -> str:
        """The text with the value."""
        return text.replace(self._slot, self.value)

    def url(self, url: str) -> str:
        """The URL with the value, percent-encoded but for its slashes.

        Raises:
            ConfigurationError: the value would lead to another path: `..` is the folder above.
        """
        # guard: a value does not leave its path
        if self._slot in urlsplit(url).path and {".", ".."} & set(self.value.split("/")):
            raise ConfigurationError(
                f"the value {shown(self.value)} would change the path of the URL: '.' and '..' name folders there."
            )
        return url.replace(self._slot, quote(self.value, safe="/"))

    def headers[T](self, headers: Mapping[str, str | T]) -> dict[str, str | T]:
        """The headers with the value; secrets stay.

        Raises:
            ConfigurationError: no header can hold the value.
        """
        filled = self.texts(headers)
        # guard: a value fits a header
        if filled != headers and not self.value.isascii():
            raise ConfigurationError(f"the value {shown(self.value)} does not fit into a header, which is ASCII.")
        return filled

    def texts[T](self, texts: Mapping[str, str | T]) -> dict[str, str | T]:
        """The texts with the value; secrets stay."""
        return {name: self.text(text) if isinstance(text, str) else text for name, text in texts.items()}

    def body[T: JsonValue](self, body: T) -> T:
        """The body with the value in its texts; secrets stay."""
        return cast("T", changed(body, self.text, lambda secret: secret))

    def request[T: DeclaredRequest](self, declared: T) -> T:
        """A request beside the list's, with the value.

        Raises:
            ConfigurationError: as `url`.
        """
        body = None if declared.body is None else self.body(declared.body)
        return declared.model_copy(update={"url": self.url(declared.url), "body": body})

    def errors(self) -> AbstractContextManager[None]:
        """Name the value in a PlatformError raised inside."""
        return named_in_errors(f"{self.name} {shown(self.value)}")
