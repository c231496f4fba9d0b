"""Where the code of an asset stands, for Dagster's link to it. In one place, since Dagster may still change how."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg


def with_code(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset, with the place of the function that makes it after those it has."""
    with _beta():
        (linked,) = dg.with_source_code_references([asset])
    if not isinstance(linked, dg.AssetsDefinition):
        raise TypeError(f"{type(linked).__name__} came back for an AssetsDefinition")
    return linked


def code_at(file: Path | None, *functions: Callable[..., object]) -> dict[str, dg.CodeReferencesMetadataValue]:
    """The metadata that leads to a declaration's file and to functions."""
    with _beta():
        files = [dg.LocalFileCodeReference(file_path=str(file), line_number=1, label="declaration")] if file else []
        references = [_reference(function) for function in functions]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[*files, *references])}


def _reference(function: Callable[..., Any]) -> dg.LocalFileCodeReference:
    line = inspect.getsourcelines(function)[1]
    return dg.LocalFileCodeReference(file_path=inspect.getfile(function), line_number=line, label=function.__name__)


@contextmanager
def _beta() -> Iterator[None]:
    with warnings.catch_warnings():
        # Code references warn that they may change in a patch release; dagster is pinned to one.
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
