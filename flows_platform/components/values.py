"""The kinds of values that a declaration is made of. What they make up stands in `declaration.py`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from flows_platform.components import rules

Template = Annotated[str, Field(pattern=r"^\{\{.*\}\}$")]
Path = Annotated[str, AfterValidator(rules.is_path)]
# A code as documents write it: 17 and "17" say the same.
Code = Annotated[str, BeforeValidator(lambda given: str(given) if type(given) is int else given)]

Format = Literal["json", "xml", "ndjson", "csv", "arrow", "auto"]
Level = Literal["unverified", "framing", "count", "digest"]


class Part(BaseModel):
    """A part of the declaration: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Part):
    """A secret, by the name of the environment variable that holds it."""

    env: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the environment variable; read when a run starts."
    )
    required: bool = Field(True, description="Whether a run fails without it; else the request goes without.")

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, given: object) -> object:
        # guard: a secret stands outside the YAML
        if isinstance(given, str):
            raise rules.refused("a secret does not stand in a file: write {env: NAME}, and set that variable")
        return given
