"""Reads the YAML files of sources. An error names the file, the line, the key and what is allowed."""

import re
from pathlib import Path

import yaml
from dagster import ResolutionContext
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.yaml_utils import parse_yaml_with_source_position
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


def declared_sources(folder: Path = DEFS) -> list[Path]:
    """The YAML files of all sources, in order."""
    return sorted(folder.glob(f"*/{FILE}"))


def load_declaration(path: Path, settings: Settings) -> TableDeclaration:
    """The declaration in a file, with its templates replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed.
    """
    try:
        # Without the line numbers of keys: they take 15 ms per file, and only errors need them.
        document = yaml.load(path.read_bytes(), _PLAIN_LOADER)  # noqa: S506 - a safe loader's subclass
        return resolved(TableDeclaration.model_validate(_attributes(document, path)), settings)
    except (OSError, yaml.YAMLError, ConfigurationError, ResolutionException, ValidationError):
        return _load_with_lines(path, settings)


def _attributes(document: object, path: Path) -> object:
    if not isinstance(document, dict) or document.get("type") != TYPE or "attributes" not in document:
        raise ConfigurationError(f"{path}: `type: {TYPE}` and `attributes:` are needed at the top.")
    return document["attributes"]


def _load_with_lines(path: Path, settings: Settings) -> TableDeclaration:
    """Load the file again with Dagster's loader, whose errors name the line."""
    tree = _parsed(path)
    attributes = _attributes(tree.value, path)
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
    return TableDeclaration.model_validate(_rendered(declaration.model_dump(exclude_unset=True), scope))


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


def _parsed(path: Path) -> ValueAndSourcePositionTree:
    try:
        return parse_yaml_with_source_position(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as YAML: {error}.") from error
