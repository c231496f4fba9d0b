"""How a source writes an instant, as a key of a YAML."""

from typing import Annotated

from pydantic import AfterValidator, Tag, WithJsonSchema

from flows_platform.columns.time_forms import TimeForm
from flows_platform.declared import STRFTIME_OR_NAME, parsed
from flows_platform.domain.strftime import strftime_reader


def _is_readable(text: str) -> str:
    parsed(strftime_reader, text)
    return text


TimeWritten = Annotated[
    Annotated[TimeForm, Tag("name")] | Annotated[str, AfterValidator(_is_readable), Tag("strftime")],
    STRFTIME_OR_NAME,
    WithJsonSchema({"anyOf": [{"enum": [form.value for form in TimeForm]}, {"type": "string", "pattern": "%"}]}),
]
