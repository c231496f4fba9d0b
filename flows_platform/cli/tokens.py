"""Arguments of `flows token`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples

token_app = typer.Typer(help="Make, list and revoke the API server's bearer tokens.", no_args_is_help=True)
app.add_typer(token_app, name="token")
TokenFile = Annotated[Path | None, typer.Option("--tokens", help="Token file; by default tokens.json in FLOWS_HOME.")]


@token_app.command(
    epilog=examples("flows token create nightly", "flows token create probe --scope status:read --tokens tokens.json")
)
def create(
    name: Annotated[str, typer.Argument(help="A name for the token.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="flows:read, status:read, cves:read or reports:read; all by default.")
    ] = None,
    tokens: TokenFile = None,
) -> None:
    """Print a new token, once; the file keeps its hash."""
    from flows_platform.cli.commands.token import create as run

    run(name, scope or [], tokens)


@token_app.command("list", epilog=examples("flows token list"))
def list_tokens(tokens: TokenFile = None) -> None:
    """Print the name, the scopes and the age of every token."""
    from flows_platform.cli.commands.token import show

    show(tokens)


@token_app.command(epilog=examples("flows token revoke nightly"))
def revoke(name: Annotated[str, typer.Argument(help="The token's name.")], tokens: TokenFile = None) -> None:
    """Revoke a token; a running server refuses it at once."""
    from flows_platform.cli.commands.token import revoke as run

    run(name, tokens)
