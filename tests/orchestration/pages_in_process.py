"""Dagster's pages without a webserver or code server: their GraphQL queries run in this process."""

import asyncio
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.schema import create_schema

MODULE = "definitions_of_the_pages"


@dataclass(frozen=True)
class Pages:
    """The pages over one set of definitions and one instance."""

    context: WorkspaceProcessContext

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data that the webserver would send; an error in it fails the test."""
        request = self.context.create_request_context()
        asked = create_schema().execute_async(query, context_value=request, variable_values=variables)
        answer = asyncio.run(asked).formatted
        assert "errors" not in answer, answer["errors"][:3]
        data: dict[str, Any] = answer["data"]
        return data


@contextmanager
def pages_of(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Iterator[Pages]:
    """Pages that show these definitions while the block lasts."""
    module = ModuleType(MODULE)
    module.defs = definitions  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=MODULE, attribute="defs"))
    try:
        with (
            warnings.catch_warnings(action="ignore", category=DeprecationWarning),  # Dagster's own, of its snapshots
            WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as context,
        ):
            yield Pages(context)
    finally:
        del sys.modules[MODULE]
