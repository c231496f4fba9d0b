"""docs/reference/commands.md: every command with its arguments, options and examples."""

import re
from collections.abc import Iterator
from inspect import unwrap
from typing import get_type_hints

import click
import typer
from typer.models import ParameterInfo

from flows_platform.cli import app

INTRODUCTION = """\
# Commands

`make env` puts `flows` into `.venv/bin`. Every command explains itself with `--help`.

| Exit code | Meaning |
|---|---|
| 0 | Done. |
| 1 | Failed. |
| 2 | Used or configured wrongly. |
| 130 | Interrupted by Ctrl-C. |
"""
COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def page() -> str:
    """The page, rendered from the commands themselves."""
    return "\n".join([INTRODUCTION, *(_section(name, command) for name, command in leaves())])


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be run, by its whole name such as `token create`; hidden ones are left out."""
    for name, command in COMMANDS.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from ((f"{name} {inner}", below) for inner, below in command.commands.items() if not below.hidden)
        elif not command.hidden:
            yield name, command


def _section(name: str, command: click.Command) -> str:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    options = ["[OPTIONS]"] if any(not one.required for one in shown) else []
    usage = " ".join(["flows", name, *(_usage(one) for one in shown if one.required), *options])
    rows = [f"| {_names(one)} | {_default(one)} | {_meaning(command, one)} |" for one in shown]
    table = ["| Option | Default | Meaning |", "|---|---|---|", *rows, ""] if rows else []
    lines = [f"## flows {name}", "", command.help or "", "", "```", usage, "```", ""]
    return "\n".join([*lines, *table, *_examples(command)])


def _examples(command: click.Command) -> list[str]:
    lines = re.findall(r"^  (flows .*)$", command.epilog or "", re.MULTILINE)
    return ["Examples:", "", "```", *lines, "```", ""] if lines else []


def _usage(parameter: click.Parameter) -> str:
    metavar = parameter.make_metavar(click.Context(click.Command("flows")))
    return metavar if parameter.param_type_name == "argument" else f"{parameter.opts[0]} {metavar}"


def _names(parameter: click.Parameter) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_usage(parameter)}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _default(parameter: click.Parameter) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    shown = isinstance(default, str | int | float) and default is not False and default != ""
    return f"`{default}`" if shown else ""


def _meaning(command: click.Command, parameter: click.Parameter) -> str:
    variable = f" `{parameter.envvar}` sets it too." if parameter.envvar else ""
    return f"{_help(command, parameter)}{variable}".replace("|", "\\|")


def _help(command: click.Command, parameter: click.Parameter) -> str:
    # click 8.5 has a help of arguments too, and overwrites typer's: it is read where it is declared.
    declared = get_type_hints(unwrap(command.callback), include_extras=True)[parameter.name]  # type: ignore[arg-type]
    return next(info.help for info in declared.__metadata__ if isinstance(info, ParameterInfo)) or ""
