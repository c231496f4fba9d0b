"""Reads YAML files of tables, reports and webhooks. An error names the file, the line, the key and what is allowed."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from dagster import ResolutionContext
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import ValidationError

from flows_platform.components.error_messages import message
from flows_platform.components.validation import TableDeclaration
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.yaml_text import documents, read_text
from flows_platform.declared import Declared, Fault, KeyFault, KeyPath, did_you_mean, is_template
from flows_platform.domain.errors import ConfigurationError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings

DEFS = Path(__file__).resolve().parents[1] / "defs"
FILE = "defs.yaml"
TOP = ("type", "attributes")
NEAR = 0.85  # similarity of a name with the one that was meant
_SETTING = re.compile(r"\{\{ settings\.([a-z_]+) \}\}")


class Kind[M: Declared](NamedTuple):
    """What a document of a file declares: its component, and the model of its `attributes`."""

    component: str
    model: type[M]

    @property
    def needed(self) -> str:
        """What a file has at its top."""
        return f"`type: {self.component}` and `attributes:` are needed at the top"


TABLE = Kind("flows_platform.components.WindowedApiTable", TableDeclaration)
REPORT = Kind("flows_platform.components.Report", ReportDeclaration)
WEBHOOK = Kind("flows_platform.components.WebhookTable", WebhookTableDeclaration)
COMPONENTS = (TABLE.component, REPORT.component, WEBHOOK.component)


def load_declaration(path: Path, settings: Settings) -> TableDeclaration:
    """The one declaration in a file, with its templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, a value in it is not allowed, or it declares several tables.
    """
    return single(path, [(declaration.name, declaration) for declaration in load_declarations(path, settings)])


def single[T](path: Path, tables: Sequence[tuple[str, T]]) -> T:
    """The one table of a file, of those that it declares, with their names.

    Raises:
        ConfigurationError: it declares none, or several.
    """
    if not tables:
        raise ConfigurationError(f"{path} declares no table.", remedy="Name the file of a source.")
    if len(tables) > 1:
        raise ConfigurationError(
            f"{path} declares several tables: {', '.join(name for name, _ in tables)}.",
            remedy="Set FLOWS_SOURCES to the file, and name the table.",
        )
    return tables[0][1]


def load_declarations(path: Path, settings: Settings) -> list[TableDeclaration]:
    """The declarations of tables in a file, one for each of its documents, with their templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed; the message has all faults.
    """
    return declared_in(path, TABLE, lambda declaration: resolved(declaration, settings))


def declared_in[M: Declared](
    path: Path, kind: Kind[M], finished: Callable[[M], M] = lambda declaration: declaration
) -> list[M]:
    """What a file declares of this kind, once for each of its documents.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed; the message has all faults.
    """
    found = found_in(path, kind, finished)
    if found.faults:
        raise ConfigurationError("\n".join(fault.message for fault in found.faults))
    return [declaration for _, declaration in found.declarations]


class Faulty(NamedTuple):
    """A document that is not allowed: the name that it gives, empty without one, and a line for each fault."""

    name: str
    message: str


class Found[M: Declared](NamedTuple):
    """What a file declares of a kind, each with its number among the file's documents of that kind, from 0 on."""

    declarations: list[tuple[int, M]]
    faults: list[Faulty]


def found_in[M: Declared](
    path: Path, kind: Kind[M], finished: Callable[[M], M] = lambda declaration: declaration
) -> Found[M]:
    """What a file declares of this kind, and what is wrong with others of its documents.

    Raises:
        ConfigurationError: the file cannot be read as YAML.
    """
    text = read_text(path)
    if kind is not TABLE and kind.component not in text:
        return Found([], [])  # before it is parsed: most files declare tables alone
    found = [document for document in _not_empty(documents(text, path)) if _is_of(kind, document)]
    try:
        loaded = [finished(kind.model.model_validate(_attributes(document, kind))) for document in found]
    except (ConfigurationError, ValidationError):
        return _found_with_lines(text, path, kind, finished)
    return Found(list(enumerate(loaded)), [])


def _not_empty(documents: list[Any]) -> list[Any]:
    """The documents with content; of a file without any, one that is refused."""
    return [document for document in documents if document is not None] or [None]


def _is_of[M: Declared](kind: Kind[M], document: object) -> bool:
    """Whether a document is one of this kind. One of an unknown type should be a table, and is refused as such."""
    component = document.get("type") if isinstance(document, dict) else None
    return component == kind.component or (kind.component == TABLE.component and component not in COMPONENTS)


def _attributes[M: Declared](document: object, kind: Kind[M]) -> object:
    """What a document declares.

    Raises:
        ConfigurationError: it has other keys than those of a source, or does not have them.
    """
    if fault := _top_fault(document, kind):
        raise ConfigurationError(fault.why)
    assert isinstance(document, dict)  # noqa: S101 - it has no fault
    return document["attributes"]


def _top_fault[M: Declared](document: object, kind: Kind[M]) -> Fault | None:
    """What is wrong with the keys at the top of a document."""
    if not isinstance(document, dict) or not document.keys() & {*TOP}:
        return Fault((), kind.needed)
    for key in document:
        if key in kind.model.model_fields:
            return Fault((key,), "the key belongs below `attributes:`, with more indentation")
        # guard: no key of a file is overlooked
        if key not in TOP:
            meant = did_you_mean(str(key), TOP) or "."
            return Fault((key,), f"there is no such key at the top{meant} Allowed are {', '.join(TOP)}")
    if document.get("type") != kind.component:
        return Fault(("type",) if "type" in document else (), f"write `type: {_meant(document)}`")
    if "attributes" not in document:
        return Fault((), "`attributes:` is missing: its keys belong below it")
    return None


def _meant(document: dict[object, object]) -> str:
    """The component that was most likely meant."""
    return next(iter(get_close_matches(str(document.get("type")), COMPONENTS, 1, NEAR)), TABLE.component)


def _found_with_lines[M: Declared](text: str, path: Path, kind: Kind[M], finished: Callable[[M], M]) -> Found[M]:
    """Load the text again with Dagster's loader, whose errors name the line."""
    trees = parse_yamls_with_source_position(text, str(path))
    found = Found[M]([], [] if trees else [Faulty("", f"{path}:1: {kind.needed}.")])
    of_kind = [tree for tree in trees if tree.value is not None and _is_of(kind, tree.value)] or trees[:1]
    for number, tree in enumerate(of_kind):
        try:
            found.declarations.append((number, _of_tree(tree, kind, finished)))
        except ConfigurationError as error:
            found.faults.append(Faulty(_name_in(tree.value), str(error)))
    return found


def _name_in(document: object) -> str:
    """The name that a document gives what it declares; empty without one."""
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else ""


def fault_in[M: Declared](path: Path, kind: Kind[M], number: int, fault: KeyFault) -> str:
    """The message for a fault of the file's declaration `number` of this kind, from 0 on."""
    trees = parse_yamls_with_source_position(read_text(path), str(path))
    of_kind = [tree for tree in trees if tree.value is not None and _is_of(kind, tree.value)]
    return _located(of_kind[number], ("attributes", *fault.at), fault.why)


def _of_tree[M: Declared](tree: ValueAndSourcePositionTree, kind: Kind[M], finished: Callable[[M], M]) -> M:
    if fault := _top_fault(tree.value, kind):
        raise ConfigurationError(_located(tree, fault.at, fault.why))
    try:
        return finished(kind.model.model_validate(tree.value["attributes"]))
    except TemplateFault as error:
        raise ConfigurationError(_located(tree, ("attributes", *error.at), error.message)) from None
    except ValidationError as error:
        raise ConfigurationError(message(error, tree, kind.model)) from None


def _located(tree: ValueAndSourcePositionTree, at: KeyPath, why: str) -> str:
    """The message for a fault at the key."""
    where, _ = tree.source_position_tree.lookup_closest_and_path(list(at), trace=None)
    key = ".".join(map(str, at)).removeprefix("attributes.")
    reason = why.rstrip(".")
    return (
        f"{where.filename}:{where.start.line}: {f'{key}: ' if key else ''}{reason}{'' if reason.endswith('?') else '.'}"
    )


def resolved[M: Declared](declaration: M, settings: Settings, context: ResolutionContext | None = None) -> M:
    """The declaration with `{{ settings.… }}` and Dagster's own templates replaced.

    Raises:
        TemplateFault: a template cannot be replaced.
    """
    scope = (context or ResolutionContext.default()).with_scope(settings=settings)
    given = declaration.model_dump(exclude_unset=True, by_alias=True)
    return type(declaration).model_validate(_rendered(given, scope, ()))


class TemplateFault(ConfigurationError):
    """A template at the key `at` that cannot be replaced."""

    def __init__(self, at: KeyPath, template: str, why: str) -> None:
        super().__init__(f"the template {template!r} cannot be replaced{why}")
        self.at = at


def _rendered(value: object, scope: ResolutionContext, at: KeyPath) -> object:
    """The value with its templates replaced. Other texts stay texts: Dagster would turn "1" into a number."""
    match value:
        case dict():
            return {key: _rendered(inner, scope, (*at, key)) for key, inner in value.items()}
        case list() | tuple():
            return [_rendered(inner, scope, (*at, index)) for index, inner in enumerate(value)]
        case str() if is_template(value):
            return _filled(value, scope, at)
    return value


def _filled(template: str, scope: ResolutionContext, at: KeyPath) -> object:
    """The template's value. Settings are inserted without Dagster, which would import Jinja for them (30 ms)."""
    settings = scope.scope["settings"]
    unknown = [name for name in _SETTING.findall(template) if not hasattr(settings, name)]
    if unknown:
        near = did_you_mean(unknown[0], type(settings).model_fields) or "."
        raise TemplateFault(at, template, f": there is no setting {unknown[0]!r}{near}")
    if is_template(_SETTING.sub("", template)):
        try:
            return scope.resolve_value(template)
        except ResolutionException:
            raise TemplateFault(at, template, ". Write {{ settings.NAME }}, or a text without braces.") from None
    if whole := _SETTING.fullmatch(template):
        return getattr(settings, whole[1])
    return _SETTING.sub(lambda setting: str(getattr(settings, setting[1])), template)
