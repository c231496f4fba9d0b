"""Reads the YAML files of sources. An error names the file, the line, the key and what is allowed."""

import re
from pathlib import Path
from typing import Any

import yaml
from dagster import ResolutionContext
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import ValidationError

from flows_platform.components.error_messages import message
from flows_platform.components.validation import TableDeclaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings

DEFS = Path(__file__).resolve().parents[1] / "defs"
FILE = "defs.yaml"
TYPE = "flows_platform.components.WindowedApiTable"
_SETTING = re.compile(r"\{\{ settings\.([a-z_]+) \}\}")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"  # a date stays text, as Dagster's loader leaves it
_BASE = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_RESOLVERS = {
    first: [kind for kind in kinds if kind[0] != _TIMESTAMP] for first, kinds in _BASE.yaml_implicit_resolvers.items()
}
_PLAIN_LOADER = type("PlainLoader", (_BASE,), {"yaml_implicit_resolvers": _RESOLVERS})


def load_declaration(path: Path, settings: Settings) -> TableDeclaration:
    """The one declaration in a file, with its templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, a value in it is not allowed, or it declares several tables.
    """
    declarations = load_declarations(path, settings)
    if len(declarations) > 1:
        names = ", ".join(declaration.name for declaration in declarations)
        raise ConfigurationError(
            f"{path} declares several tables: {names}.", remedy="Set FLOWS_SOURCES to the file, and name the table."
        )
    return declarations[0]


def load_declarations(path: Path, settings: Settings) -> list[TableDeclaration]:
    """The declarations in a file, one for each of its documents, with their templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed; the message has all faults.
    """
    try:
        # Without the line numbers of keys: they take 15 ms per file, and only errors need them.
        found = yaml.load_all(path.read_bytes(), _PLAIN_LOADER)  # a safe loader's subclass
        documents = _not_empty(list(found))
        return [
            resolved(TableDeclaration.model_validate(_attributes(document, path)), settings) for document in documents
        ]
    except (OSError, yaml.YAMLError, ConfigurationError, ResolutionException, ValidationError):
        return _load_with_lines(path, settings)


def _not_empty(documents: list[Any]) -> list[Any]:
    """The documents with content; of a file without any, one that is refused."""
    return [document for document in documents if document is not None] or [None]


def _attributes(document: object, path: Path) -> object:
    if not isinstance(document, dict) or document.get("type") != TYPE or "attributes" not in document:
        raise ConfigurationError(f"{path}: `type: {TYPE}` and `attributes:` are needed at the top.")
    return document["attributes"]


def _load_with_lines(path: Path, settings: Settings) -> list[TableDeclaration]:
    """Load the file again with Dagster's loader, whose errors name the line."""
    declarations: list[TableDeclaration] = []
    faults: list[str] = []
    for tree in _parsed(path):
        try:
            declarations.append(_of_tree(tree, path, settings))
        except ConfigurationError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("\n".join(faults))
    return declarations


def _of_tree(tree: ValueAndSourcePositionTree | None, path: Path, settings: Settings) -> TableDeclaration:
    attributes = _attributes(tree and tree.value, path)
    assert tree is not None  # noqa: S101 - it has attributes
    try:
        declaration = TableDeclaration.model_validate(attributes)
        context = ResolutionContext.default(tree.source_position_tree).at_path("attributes")
        return resolved(declaration, settings, context)
    except ResolutionException as error:
        raise ConfigurationError(str(error)) from None
    except ValidationError as error:
        raise ConfigurationError(message(error, tree)) from None


def resolved(
    declaration: TableDeclaration, settings: Settings, context: ResolutionContext | None = None
) -> TableDeclaration:
    """The declaration with `{{ settings.… }}` and Dagster's own templates replaced."""
    scope = (context or ResolutionContext.default()).with_scope(settings=settings)
    return TableDeclaration.model_validate(_rendered(declaration.model_dump(exclude_unset=True, by_alias=True), scope))


def _rendered(value: object, scope: ResolutionContext) -> object:
    """The value with its templates replaced. Other texts stay texts: Dagster would turn "1" into a number."""
    match value:
        case dict():
            return {key: _rendered(inner, scope.at_path(key)) for key, inner in value.items()}
        case list() | tuple():
            return [_rendered(inner, scope.at_path(index)) for index, inner in enumerate(value)]
        case str() if "{{" in value:
            return _filled(value, scope)
    return value


def _filled(template: str, scope: ResolutionContext) -> object:
    """The template's value. Settings are inserted without Dagster, which would import Jinja for them (30 ms)."""
    settings = scope.scope["settings"]
    known = all(hasattr(settings, name) for name in _SETTING.findall(template))
    if not known or "{" in _SETTING.sub("", template):
        return scope.resolve_value(template)
    if whole := _SETTING.fullmatch(template):
        return getattr(settings, whole[1])
    return _SETTING.sub(lambda setting: str(getattr(settings, setting[1])), template)


def _parsed(path: Path) -> list[ValueAndSourcePositionTree | None]:
    try:
        trees = parse_yamls_with_source_position(path.read_text("utf-8"), str(path))
        return [tree for tree in trees if tree.value is not None] or [None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as YAML: {error}.") from error
