"""Arguments of `flows source`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import FAILED, app, examples

source_app = typer.Typer(
    help="Write, check and try sources: see what an API answers, and the rows made from it.", no_args_is_help=True
)
app.add_typer(source_app, name="source")


@source_app.callback()
def source() -> None:
    """Write, check and try sources: see what an API answers, and the rows made from it."""


@source_app.command(
    "try",
    epilog=examples(
        "flows source try nvd_cves --window 2024-03-01-00:00",
        "flows source try my_api.yaml --window 2024-03-01-00:00 --limit 100 --out rows.parquet",
    ),
)
def try_(
    source: Annotated[str, typer.Argument(help="A table's name, or the path of a YAML file.")],
    window: Annotated[str, typer.Option(help="The window's key: its start, such as 2024-03-01-00:00.")],
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many records.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the window's rows to this Parquet file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Fetch one window with a run's settings and show the result; nothing is published."""
    from flows_platform.cli.commands.source_try import run_try

    if code := run_try(source, window, limit=limit, out=out, as_json=as_json):
        raise typer.Exit(code)


@source_app.command("check", epilog=examples("flows source check", "flows source check sources my_api.yaml"))
def check(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Folders and files; by default FLOWS_SOURCES.")
    ] = None,
) -> None:
    """Check YAML files and name every fault by file, line and key, with what is allowed."""
    from flows_platform.cli.commands.source_check import run_check

    if not run_check(paths or []):
        raise typer.Exit(FAILED)


@source_app.command(
    "new",
    epilog=examples(
        "flows source new visits --sample answer.json --url 'https://api.example/v1/visits?limit=100'",
        "flows source new visits --sample answer.json --token-url https://id.example/oauth2/token",
    ),
)
def new(
    name: Annotated[str, typer.Argument(help="The table's name.")],
    sample: Annotated[Path, typer.Option(help="An answer of the API: .json, .xml, .csv, .tsv, .ndjson or .jsonl.")],
    url: Annotated[
        str | None, typer.Option(help="The URL it answered, with its parameters; secrets become variables.")
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="bearer, header, query, basic, oauth2, aws or none; by default as in the URL, or a comment.",
        ),
    ] = None,
    token_url: Annotated[str | None, typer.Option(help="OAuth2: the URL that issues tokens.")] = None,
    scope: Annotated[str | None, typer.Option(help="OAuth2: scopes of the token, with spaces between.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default NAME.yaml in the folder of sources.")
    ] = None,
) -> None:
    """Draft a source from one answer: columns, types, time, key and paging, with a comment on each guess."""
    from flows_platform.cli.commands.source_new import run_new

    run_new(name, sample, url, out, auth=auth, token_url=token_url, scope=scope)


@source_app.command("add", epilog=examples("flows source add", "flows source add okta_system_log"))
def add(
    name: Annotated[str | None, typer.Argument(help="A file of the library; without a name they are listed.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default NAME.yaml in the folder of sources.")
    ] = None,
) -> None:
    """Copy a ready source from the library into the project and say what it needs."""
    from flows_platform.cli.commands.source_add import run_add

    run_add(name, out)
