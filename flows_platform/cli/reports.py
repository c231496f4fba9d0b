"""Arguments of `flows report`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples

report_app = typer.Typer(help="List, show and get the reports of a server; a demo of them.", no_args_is_help=True)
app.add_typer(report_app, name="report")

Url = Annotated[str | None, typer.Option(help="The server; by default this installation's.")]
Token = Annotated[str | None, typer.Option(help="The token; other users of this machine see it among the processes.")]
TokenFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="File of the token, or - for standard input; by default FLOWS_API_TOKEN, or the one *-token-secret.txt "
        "of this folder.",
    ),
]
Name = Annotated[str, typer.Argument(help="The report's name.")]
DEMO_PORT = 8050


@report_app.callback()
def report() -> None:
    """List, show and get the reports of a server."""


@report_app.command("list", epilog=examples("flows report list", "flows report list --url https://flows.example.com"))
def list_reports(url: Url = None, token: Token = None, token_file: TokenFile = None) -> None:
    """Print the reports that the token may read, with the end of their newest data."""
    from flows_platform.cli.commands.report_get import run_list

    run_list(url, token, token_file)


@report_app.command(epilog=examples("flows report show busiest_computers"))
def show(name: Name, url: Url = None, token: Token = None, token_file: TokenFile = None) -> None:
    """Print a report's parameters, with what they may be, and its columns."""
    from flows_platform.cli.commands.report_get import run_show

    run_show(name, url, token, token_file)


@report_app.command(
    epilog=examples(
        "flows report get busiest_computers --start 2014-01-01 --end 2014-01-02 --top 5",
        "flows report get busiest_computers --start 2014-01-01 --out top.csv",
        "flows report get top_pairs --out pairs.arrow --url https://flows.example.com --token-file token.txt",
    ),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def get(
    context: typer.Context,
    name: Name,
    *,
    out: Annotated[Path | None, typer.Option(help="File to write, whole or not at all; else standard output.")] = None,
    wire: Annotated[
        str | None,
        typer.Option("--format", help="csv, json, ndjson, xml or arrow; by default as OUT ends, else csv."),
    ] = None,
    etag_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of the answer's ETag: OUT is written only if the answer changed."),
    ] = None,
    url: Url = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Get a report's rows; every other option, such as --start, is a parameter of the report."""
    from flows_platform.cli.commands.report_get import run_get

    run_get(name, context.args, out, wire, etag_file=etag_file, url=url, token=token, token_file=token_file)


@report_app.command(epilog=examples("flows report demo", "flows report demo --port 9000"))
def demo(port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the server.")] = DEMO_PORT) -> None:
    """Load orders of TPC-H into the embedded warehouse and serve reports over them until Ctrl-C, on this machine."""
    from flows_platform.cli.commands.report_demo import run_report_demo

    run_report_demo(port)
