"""Arguments of `flows token`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples

token_app = typer.Typer(help="Make, list and revoke the API server's bearer tokens.", no_args_is_help=True)
app.add_typer(token_app, name="token")
TokenFile = Annotated[Path | None, typer.Option("--tokens", help="Token file; by default tokens.json in FLOWS_HOME.")]


@token_app.command(
    epilog=examples(
        "flows token create nightly",
        "flows token create probe --scope status:read --tokens tokens.json",
        "flows token create c17 --scope reports:computer_traffic --with computer=C17 --expires 30d",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="A name for the token.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="flows:read, status:read, cves:read, reports:read, alerts:read, alerts:replay, or reports:NAME for "
            "one report; all but the last by default, with --with that of reports."
        ),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PARAMETER=VALUE",
            help="Fix a parameter of reports: the token reads those that have it, with this value alone.",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 30d, 12h or 90m from now, or a time such as 2030-01-31T00:00:00Z.")
    ] = None,
    tokens: TokenFile = None,
) -> None:
    """Print a new token, once; the file keeps its hash."""
    from flows_platform.cli.commands.token import create as run

    run(name, scope or [], tokens, fixed=fixed or [], expires=expires)


@token_app.command("list", epilog=examples("flows token list"))
def list_tokens(tokens: TokenFile = None) -> None:
    """Print name, scopes, creation, end and fixed parameters of every token; - where it has none."""
    from flows_platform.cli.commands.token import show

    show(tokens)


@token_app.command(epilog=examples("flows token revoke nightly"))
def revoke(name: Annotated[str, typer.Argument(help="The token's name.")], tokens: TokenFile = None) -> None:
    """Revoke a token; a running server refuses it at once."""
    from flows_platform.cli.commands.token import revoke as run

    run(name, tokens)


@token_app.command(epilog=examples("flows token rotate"))
def rotate(tokens: TokenFile = None) -> None:
    """Sign short tokens with a new key. Those of the key before count until they end; a second rotation ends them."""
    from flows_platform.cli.commands.token import rotate as run

    run(tokens)
