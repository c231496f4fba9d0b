"""Old names of commands and options. The help does not show them; they work for one release, with a notice."""

import click
from typer.core import TyperGroup

from flows_platform.runtime.old_names import say_renamed

COMMANDS = {"replay": "reprocess"}
OPTIONS = {
    "dev": {"--replay": "--simulate"},
    "serve": {"--replay": "--simulate", "--replay-start": "--simulated-start"},
}


class Commands(TyperGroup):
    """The commands of `flows`, which also take their old names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments as if they had the new names."""
        return super().parse_args(ctx, with_new_names(args))


def with_new_names(args: list[str]) -> list[str]:
    """The arguments after `flows`, with old names replaced; prints a notice for every one."""
    if not args:
        return args
    command, *rest = args
    if command in COMMANDS:
        say_renamed(f"flows {command}", f"flows {COMMANDS[command]}")
        command = COMMANDS[command]
    return [command, *(_new_option(command, word) for word in rest)]


def _new_option(command: str, word: str) -> str:
    old, equals, value = word.partition("=")
    new = OPTIONS.get(command, {}).get(old)
    if new is None:
        return word
    say_renamed(f"flows {command} {old}", f"flows {command} {new}")
    return f"{new}{equals}{value}"
