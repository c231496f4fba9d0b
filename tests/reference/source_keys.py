"""docs/reference/source-keys.md: every key of a source's YAML, rendered from the models that read it."""

import json
from collections.abc import Collection, Iterator
from enum import StrEnum
from inspect import getdoc
from ipaddress import IPv4Network, IPv6Network
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from flows_platform.columns.paths import RecordPath
from flows_platform.components.source import Api, ColumnDeclaration, Destination, Partitions, Template
from flows_platform.components.validation import TableDeclaration
from flows_platform.declared import Declared, Secret
from flows_platform.fetch.api import Newest
from flows_platform.fetch.auth import AnyAuth
from flows_platform.fetch.details import Details
from flows_platform.fetch.for_each import ValuesFile, ValuesVariable
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.http.refusals import NothingCode, Wait
from flows_platform.fetch.jobs import Job, JobChunks, JobResult, JobStart, JobStatus
from flows_platform.fetch.paging import AnyPaging, Into, NamedHeader
from flows_platform.fetch.time_parameters import TimeParameters
from flows_platform.formats.csv.dialect import CsvDialect
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.orchestration.metadata.charts import Chart


def kinds_of(title: str, union: Any) -> dict[str, type[Declared]]:
    """The models of a union, each by the kind that a YAML names."""
    return {f"{title}, kind {model.model_fields['kind'].default}": model for model in get_args(get_args(union)[0])}


PARTS: dict[str, type[Declared]] = {
    "attributes": TableDeclaration,
    "api": Api,
    "api.time": TimeParameters,
    **kinds_of("api.auth", AnyAuth),
    "a secret": Secret,
    **kinds_of("api.paging", AnyPaging),
    "a cursor's header": NamedHeader,
    "a cursor's into": Into,
    "api.for_each, a file": ValuesFile,
    "api.for_each, a variable": ValuesVariable,
    "api.details": Details,
    "api.job": Job,
    "api.job.start": JobStart,
    "api.job.status": JobStatus,
    "api.job.parts": JobChunks,
    "api.job.result": JobResult,
    "api.rate": RateBudget,
    "api.wait": Wait,
    "api.errors": ErrorDocument,
    "api.csv": CsvDialect,
    "api.nothing, a code": NothingCode,
    "api.newest": Newest,
    "columns": ColumnDeclaration,
    "partitions": Partitions,
    "destination": Destination,
    "charts": Chart,
}
INTRODUCTION = """\
# Keys of a source

A source is a YAML file, as [Add a source](../sources.md) explains. A key without a default is required. The text
`{{ settings.NAME }}` is replaced by a setting of the platform."""
SCALARS: dict[object, str] = {
    str: "text",
    RecordPath: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    dict: "names with texts",
    IPv4Network: "address or network",
    IPv6Network: "address or network",
    JsonValue: "values",
}


def page() -> str:
    """The page: a table for every model, below its heading."""
    tables = (f"## {title}\n\n{table(model)}" for title, model in PARTS.items())
    return "\n\n".join([INTRODUCTION, *tables]) + "\n"


def table(part: type[Declared], left_out: Collection[str] = ()) -> str:
    """A model's keys, but for those left out."""
    rows = [
        f"| `kind` | {_kind(field)} |  | Names this form. |"
        if name == "kind" and len(get_args(field.annotation)) == 1
        else f"| `{field.alias or name}` | {_kind(field)} | {_default(field)} | {_meaning(field)} |"
        for name, field in part.model_fields.items()
        if name not in left_out
    ]
    return "\n".join([f"{getdoc(part)}", "", "| Key | Holds | Default | Meaning |", "|---|---|---|---|", *rows])


def _meaning(field: FieldInfo) -> str:
    assert field.description, field
    return field.description.replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    default = field.default
    if isinstance(default, Declared) and not isinstance(default, Secret | RecordPath):
        return "as below"
    if isinstance(default, Secret):
        return f"`{{env: {default.env}{'' if default.required else ', required: false'}}}`"
    if isinstance(default, RecordPath):
        return f"`{default.text}`"
    if default in (None, "", [], {}, ()):
        return "none"
    # Lists and truth values as YAML writes them.
    return f"`{json.dumps(default) if isinstance(default, bool | list | tuple) else default}`"


def _kind(field: FieldInfo) -> str:
    return ", or ".join(dict.fromkeys(_kinds(field.annotation)))


def _kinds(annotation: Any) -> Iterator[str]:
    """Words for a type; a template is possible in many of them, and is left out."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in (NoneType, Template):
        return
    if isinstance(annotation, TypeAliasType):
        yield from _kinds(annotation.__value__)
    elif origin in (Union, UnionType):
        for kind in inner:
            yield from _kinds(kind)
    elif origin is Annotated:
        yield from _kinds(inner[0])
    elif origin is Literal:
        yield ", ".join(f"`{kind}`" if kind else "nothing" for kind in inner)
    elif origin in (list, tuple):
        yield "list of " + ", or ".join(_kinds(inner[0]))
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield ", ".join(f"`{kind}`" for kind in annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Declared):
        yield "keys"
    else:
        yield SCALARS.get(origin or annotation, "time")
