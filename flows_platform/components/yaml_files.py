"""Sources' YAML files, read outside Dagster's own loader, with errors that name file, line, key and what is allowed."""

from pathlib import Path

from dagster import ResolutionContext
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.yaml_utils import parse_yaml_with_source_position
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import ValidationError
from yaml import YAMLError

from flows_platform.components.consistency import TableDeclaration
from flows_platform.components.faults import told
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings

DEFS = Path(__file__).resolve().parents[1] / "defs"
FILE = "defs.yaml"
TYPE = "flows_platform.components.WindowedApiTable"


def declared_sources(folder: Path = DEFS) -> list[Path]:
    """The YAML files of all sources, in order."""
    return sorted(folder.glob(f"*/{FILE}"))


def load_declaration(path: Path, settings: Settings) -> TableDeclaration:
    """The declaration in a file, its templates resolved.

    Raises:
        ConfigurationError: the file cannot be read, or says what no declaration may.
    """
    tree = _parsed(path)
    document = tree.value
    if not isinstance(document, dict) or document.get("type") != TYPE or "attributes" not in document:
        raise ConfigurationError(f"{path}: `type: {TYPE}` and `attributes:` are needed at the top.")
    try:
        attributes = TableDeclaration.model_validate(document["attributes"])
        context = ResolutionContext.default(tree.source_position_tree).at_path("attributes")
        return resolved(attributes, settings, context)
    except ResolutionException as error:
        raise ConfigurationError(str(error)) from None
    except ValidationError as error:
        raise ConfigurationError(told(error, tree)) from None


def resolved(
    declaration: TableDeclaration, settings: Settings, context: ResolutionContext | None = None
) -> TableDeclaration:
    """The declaration with `{{ settings.… }}` and Dagster's own templates put in."""
    scope = (context or ResolutionContext.default()).with_scope(settings=settings)
    return TableDeclaration.model_validate(_rendered(declaration.model_dump(exclude_unset=True), scope))


def _rendered(value: object, scope: ResolutionContext) -> object:
    """The value with its templates resolved; other texts stay texts, where Dagster would make "1" a number."""
    match value:
        case dict():
            return {key: _rendered(each, scope.at_path(key)) for key, each in value.items()}
        case list():
            return [_rendered(each, scope.at_path(place)) for place, each in enumerate(value)]
        case str() if "{{" in value:
            return scope.resolve_value(value)
    return value


def _parsed(path: Path) -> ValueAndSourcePositionTree:
    try:
        return parse_yaml_with_source_position(path.read_text(), str(path))
    except (OSError, YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as YAML: {error}.") from error
