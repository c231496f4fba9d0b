"""docs/reference/python.md: what other programs may call, with signatures and docstrings."""

import ast
import inspect
import re
from collections.abc import Callable
from pkgutil import resolve_name
from textwrap import dedent
from typing import Any

INTRODUCTION = """\
# Python

What follows is meant for other programs: for a Dagster project of your own, or for a script. Errors are of
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
    "flows_platform.client:Reports",
    "flows_platform.client:Reports.get",
    "flows_platform.client:Reports.list",
    "flows_platform.client:Reports.schema",
    "flows_platform.client:Reports.download",
]
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)
ENTRY = re.compile(r"^    ([\w*]+): ", re.MULTILINE)


def page() -> str:
    """The page, rendered from the functions themselves."""
    return "\n".join([INTRODUCTION, *(_section(name, resolve_name(name)) for name in FUNCTIONS)])


def _section(name: str, function: Callable[..., Any]) -> str:
    module, _, short = name.partition(":")
    imported = "" if "." in short else f"from {module} import {short}\n\n"
    return f"## {short}\n\n```python\n{imported}{_signature(function)}\n```\n\n{_text(function)}\n"


def _signature(function: Callable[..., Any]) -> str:
    """The signature as it is written in the source; that of a class is how it is called."""
    called = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    (node,) = ast.parse(dedent(inspect.getsource(called))).body
    assert isinstance(node, ast.FunctionDef)
    node.args.args = [argument for argument in node.args.args if argument.arg != "self"]
    node.args.posonlyargs = [argument for argument in node.args.posonlyargs if argument.arg != "self"]
    returned = f" -> {ast.unparse(node.returns)}" if node.returns and called is function else ""
    return f"{function.__name__}({ast.unparse(node.args)}){returned}"


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
