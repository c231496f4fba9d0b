"""docs/reference/python.md: the functions that other programs may call, with their signatures and docstrings."""

import ast
import inspect
import re
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

INTRODUCTION = """\
# Python

The functions below are meant for other programs: for a Dagster project of your own, or for a script. Errors are of
`flows_platform.domain.errors`, and every one has a `message` and a `remedy`.
"""
FUNCTIONS = [
    "flows_platform:definitions_for",
    "flows_platform.settings:load_settings",
    "flows_platform.components.loader:load_declaration",
    "flows_platform.components.catalog:table_named",
    "flows_platform.components.catalog:table_at",
    "flows_platform.orchestration.table_definitions:windowed_definitions",
    "flows_platform.sources.lanl_flows.sample.generator:generate",
    "flows_platform.sources.lanl_flows.cleaning:clean",
    "flows_platform.flow_database.load:load",
    "api_server.app:create_app",
]
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)
ENTRY = re.compile(r"^    ([\w*]+): ", re.MULTILINE)


def page() -> str:
    """The page, rendered from the functions themselves."""
    return "\n".join([INTRODUCTION, *(_section(name, resolve_name(name)) for name in FUNCTIONS)])


def _section(name: str, function: Callable[..., Any]) -> str:
    module, _, short = name.partition(":")
    return (
        f"## {short}\n\n```python\nfrom {module} import {short}\n\n{_signature(function)}\n```\n\n{_text(function)}\n"
    )


def _signature(function: Callable[..., Any]) -> str:
    """The signature as it is written in the source."""
    (node,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(node, ast.FunctionDef)
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returned}"


def _text(function: Callable[..., Any]) -> str:
    """The docstring, its sections as lists."""
    text = inspect.getdoc(function)
    assert text, function
    body, *sections = SECTION.split(text)
    titles = sections[::2]
    lists = (ENTRY.sub(r"- `\1`: ", entries).strip("\n") for entries in sections[1::2])
    return "\n\n".join(
        [body.strip(), *(f"{title}:\n\n{entries}" for title, entries in zip(titles, lists, strict=True))]
    )
