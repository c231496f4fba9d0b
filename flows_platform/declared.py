"""The base class of everything that a YAML declares, and the types that several declarations share.

YAML and run time use the same class: its fields are the keys of the YAML, and its methods act on them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, model_validator
from pydantic_core import PydanticCustomError

from flows_platform.domain.errors import ConfigurationError

# Which branch of a union a text belongs to: one with directives is a strftime text, any other names a form.
STRFTIME_OR_NAME = Discriminator(lambda given: "strftime" if "%" in str(given) else "name")

# A code in a document, as text: 17 and "17" are the same code.
Code = Annotated[str, BeforeValidator(lambda given: str(given) if type(given) is int else given)]

# The pattern of names of tables, columns, variables and the like.
NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"

SHORTEST = 3  # letters of a beginning that may mean a longer word

# The pattern of an http(s) URL without user and password.
HTTP_URL = r"^https?://[^/?#@]+([/?].*)?$"

type KeyPath = tuple[str | int, ...]  # keys and indices that lead to a value of a YAML
type Secrets = Mapping[str, str]  # values by variable name; "" for an optional secret that is not set


class Declared(BaseModel):
    """An object in a YAML. It is immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without the values of cached properties: they are those of the original."""
        copied = super().model_copy(update=update, deep=deep)
        # guard: a copy computes its own values
        for name in copied.__dict__.keys() - type(copied).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Secret(Declared):
    """A secret, by the name of the environment variable that holds it."""

    env: str = Field(pattern=NAME, description="Name of the environment variable; read when a run starts.")
    required: bool = Field(True, description="Whether a run fails without it; otherwise requests go without it.")

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, given: object) -> object:
        # guard: a secret is outside the YAML
        if isinstance(given, str):
            raise refused("a secret does not belong in a file: write {env: NAME}, and set that variable")
        return given

    def value(self, environment: Callable[[str], str | None]) -> str:
        """The current value of the variable; "" for an optional secret that is not set.

        Raises:
            ConfigurationError: the secret is required and not set.
        """
        value = environment(self.env)
        if value is None and self.required:
            raise ConfigurationError(
                f"the environment variable {self.env} is not set.",
                remedy="Set it to the secret that the API asks for.",
            )
        return value or ""


def refused(why: str, at: KeyPath = ()) -> PydanticCustomError:
    """A fault in pydantic's form; `at` is the path from the model that raises it to the key at fault."""
    return PydanticCustomError("refused", "{why}", {"why": why.rstrip("."), "at": at})


class Fault(NamedTuple):
    """What is wrong at a key."""

    at: KeyPath
    why: str


class KeyFault(ConfigurationError):
    """A fault at a key that shows only beside what else there is: `at` is its path in the declaration."""

    def __init__(self, at: KeyPath, why: str) -> None:
        super().__init__(f"{'.'.join(map(str, at))}: {why}")
        self.at, self.why = at, why


def all_refused(faults: Sequence[Fault]) -> PydanticCustomError:
    """All faults as one in pydantic's form: `message` in `error_messages.py` takes them apart again."""
    (at, why), *others = faults
    more = tuple((other.at, other.why.rstrip(".")) for other in others)
    return PydanticCustomError("refused", "{why}", {"why": why.rstrip("."), "at": at, "more": more})


def did_you_mean(written: str, allowed: Iterable[str]) -> str:
    """The end of a message that names the allowed word that was most likely meant; empty if none is near."""
    known = {word.casefold(): word for word in allowed}
    begun = [word for word in known if len(written) >= SHORTEST and word.startswith(written.casefold())]
    near = get_close_matches(written.casefold(), known, 1) or begun
    return f"; did you mean {known[near[0]]}?" if near else ""


def is_template(value: object) -> bool:
    """Whether the value is a template; it is replaced before the declaration is used."""
    return isinstance(value, str) and "}}" in value.partition("{{")[2]


def parsed[T](parse: Callable[[str], T], text: str) -> T:
    """The result of `parse`; its ConfigurationError becomes a fault of the YAML."""
    try:
        return parse(text)
    except ConfigurationError as error:
        raise refused(str(error)) from None
