"""Links from an asset to its code. Dagster may still change their form, so all of them are made here."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg


def with_code(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset, with a reference to its function added to those it has."""
    with _beta():
        (linked,) = dg.with_source_code_references([asset])
    if not isinstance(linked, dg.AssetsDefinition):
        raise TypeError(f"Dagster returned a {type(linked).__name__} instead of an AssetsDefinition")
    return linked


def code_at(file: Path | None, *functions: Callable[..., object]) -> dict[str, dg.CodeReferencesMetadataValue]:
    """The metadata with references to a declaration's file and to functions."""
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
        # Dagster warns that code references may change in a patch release; its version is pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
