"""Reads the YAML files of sources. An error names the file, the line, the key and what is allowed."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import ResolutionContext
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import ValidationError

from flows_platform.components.error_messages import message
from flows_platform.components.validation import TableDeclaration
from flows_platform.components.yaml_text import documents, read_text
from flows_platform.declared import Declared, Fault, KeyPath, did_you_mean, is_template
from flows_platform.domain.errors import ConfigurationError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings

DEFS = Path(__file__).resolve().parents[1] / "defs"
FILE = "defs.yaml"
TYPE = "flows_platform.components.WindowedApiTable"
REPORT = "flows_platform.components.Report"
MODELS: Mapping[str, type[Declared]] = {TYPE: TableDeclaration, REPORT: ReportDeclaration}
TOP = ("type", "attributes")
NEEDED = f"`type: {TYPE}` and `attributes:` are needed at the top"
_SETTING = re.compile(r"\{\{ settings\.([a-z_]+) \}\}")


def load_declaration(path: Path, settings: Settings) -> TableDeclaration:
    """The one declaration in a file, with its templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, a value in it is not allowed, or it declares several tables.
    """
    declarations = load_declarations(path, settings)
    if not declarations:
        raise ConfigurationError(f"{path} declares no table.", remedy="Name the file of a source.")
    if len(declarations) > 1:
        names = ", ".join(declaration.name for declaration in declarations)
        raise ConfigurationError(
            f"{path} declares several tables: {names}.", remedy="Set FLOWS_SOURCES to the file, and name the table."
        )
    return declarations[0]


def load_declarations(path: Path, settings: Settings) -> list[TableDeclaration]:
    """The declarations of tables in a file, one for each of its documents, with their templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed; the message has all faults.
    """
    text = read_text(path)
    found = [document for document in _not_empty(documents(text, path)) if not is_report(document)]
    try:
        return [resolved(TableDeclaration.model_validate(attributes_of(document)), settings) for document in found]
    except (ConfigurationError, ValidationError):
        return _load_with_lines(text, path, settings)


def is_report(document: object) -> bool:
    """Whether a document of a file declares a report."""
    return isinstance(document, dict) and document.get("type") == REPORT


def load_reports(path: Path) -> list[ReportDeclaration]:
    """The reports that a file declares, as they are written; tables in it are left out.

    Raises:
        ConfigurationError: the file cannot be read, or a value of a report is not allowed; the message has all faults.
    """
    text = read_text(path)
    if REPORT not in text:
        return []
    found = [document for document in documents(text, path) if is_report(document)]
    try:
        return [ReportDeclaration.model_validate(attributes_of(document)) for document in found]
    except (ConfigurationError, ValidationError):
        trees = parse_yamls_with_source_position(text, str(path))
        return _each([tree for tree in trees if is_report(tree.value)], _report_of_tree)


def _not_empty(documents: list[Any]) -> list[Any]:
    """The documents with content; of a file without any, one that is refused."""
    return [document for document in documents if document is not None] or [None]


def attributes_of(document: object) -> object:
    """What a document declares.

    Raises:
        ConfigurationError: it has other keys than those of a source, or does not have them.
    """
    if fault := _top_fault(document):
        raise ConfigurationError(fault.why)
    assert isinstance(document, dict)  # noqa: S101 - it has no fault
    return document["attributes"]


def _top_fault(document: object) -> Fault | None:
    """What is wrong with the keys at the top of a document."""
    if not isinstance(document, dict) or not document.keys() & {*TOP}:
        return Fault((), NEEDED)
    model = MODELS.get(document.get("type", TYPE), TableDeclaration)
    for key in document:
        if key in model.model_fields:
            return Fault((key,), "the key belongs below `attributes:`, with more indentation")
        # guard: no key of a file is overlooked
        if key not in TOP:
            meant = did_you_mean(str(key), TOP) or "."
            return Fault((key,), f"there is no such key at the top{meant} Allowed are {', '.join(TOP)}")
    if document.get("type") not in MODELS:
        return Fault(("type",) if "type" in document else (), f"write `type: {TYPE}`")
    if "attributes" not in document:
        return Fault((), "`attributes:` is missing: the keys of the table belong below it")
    return None


def _load_with_lines(text: str, path: Path, settings: Settings) -> list[TableDeclaration]:
    """Load the text again with Dagster's loader, whose errors name the line."""
    trees = parse_yamls_with_source_position(text, str(path))
    if not trees:
        raise ConfigurationError(f"{path}:1: {NEEDED}.")
    of_tables = [tree for tree in trees if tree.value is not None and not is_report(tree.value)]
    return _each(of_tables or trees[:1], lambda tree: _of_tree(tree, settings))


def _each[T](trees: Sequence[ValueAndSourcePositionTree], load: Callable[[ValueAndSourcePositionTree], T]) -> list[T]:
    """What every document declares; the faults of all documents are one error."""
    declarations: list[T] = []
    faults: list[str] = []
    for tree in trees:
        try:
            declarations.append(load(tree))
        except ConfigurationError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("\n".join(faults))
    return declarations


def _report_of_tree(tree: ValueAndSourcePositionTree) -> ReportDeclaration:
    if fault := _top_fault(tree.value):
        raise ConfigurationError(_located(tree, fault.at, fault.why))
    try:
        return ReportDeclaration.model_validate(tree.value["attributes"])
    except ValidationError as error:
        raise ConfigurationError(message(error, tree, ReportDeclaration)) from None


def _of_tree(tree: ValueAndSourcePositionTree, settings: Settings) -> TableDeclaration:
    if fault := _top_fault(tree.value):
        raise ConfigurationError(_located(tree, fault.at, fault.why))
    try:
        return resolved(TableDeclaration.model_validate(tree.value["attributes"]), settings)
    except TemplateFault as error:
        raise ConfigurationError(_located(tree, ("attributes", *error.at), error.message)) from None
    except ValidationError as error:
        raise ConfigurationError(message(error, tree, TableDeclaration)) from None


def _located(tree: ValueAndSourcePositionTree, at: KeyPath, why: str) -> str:
    """The message for a fault at the key."""
    where, _ = tree.source_position_tree.lookup_closest_and_path(list(at), trace=None)
    key = ".".join(map(str, at)).removeprefix("attributes.")
    return f"{where.filename}:{where.start.line}: {f'{key}: ' if key else ''}{why.rstrip('.')}."


def resolved(
    declaration: TableDeclaration, settings: Settings, context: ResolutionContext | None = None
) -> TableDeclaration:
    """The declaration with `{{ settings.… }}` and Dagster's own templates replaced.

    Raises:
        TemplateFault: a template cannot be replaced.
    """
    scope = (context or ResolutionContext.default()).with_scope(settings=settings)
    given = declaration.model_dump(exclude_unset=True, by_alias=True)
    return TableDeclaration.model_validate(_rendered(given, scope, ()))


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
    if "{" in _SETTING.sub("", template):
        try:
            return scope.resolve_value(template)
        except ResolutionException:
            raise TemplateFault(at, template, ". Write {{ settings.NAME }}, or a text without braces.") from None
    if whole := _SETTING.fullmatch(template):
        return getattr(settings, whole[1])
    return _SETTING.sub(lambda setting: str(getattr(settings, setting[1])), template)
