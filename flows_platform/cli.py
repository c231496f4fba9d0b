"""The `flows` command: arguments, help and exit codes. Each command imports what it runs only when it runs."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from flows_platform.domain.errors import ConfigurationError, PlatformError

app = typer.Typer(
    help="A time-windowed HTTP API into BigQuery, exactly: every window atomic, verified and visible in Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
FLOWS_TABLE = "flows"
Table = Annotated[str, typer.Option(help="The declared table whose windows are meant.")]


def _examples(*lines: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)


@app.command(epilog=_examples("flows generate --rows 1000000 --days 2 --out flows.txt.gz"))
def generate(
    rows: Annotated[int, typer.Option(min=1, help="Rows to write.")],
    out: Annotated[Path, typer.Option(help="File to write; gzip where its name ends in .gz.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    days: Annotated[int, typer.Option(min=1, help="Days that the rows cover.")] = 58,
) -> None:
    """Write a deterministic sample in the shape of LANL's flows.txt."""
    from flows_platform.commands.terminal import progress_bar, say
    from flows_platform.sources.lanl_flows.generator import generate as run

    with progress_bar("Generating", "rows") as progress:
        made = run(out, rows=rows, seed=seed, days=days, progress=progress)
    say(f"{out}: {made.rows:,} rows, {made.bytes:,} bytes")


@app.command(epilog=_examples("flows clean flows.txt.gz --out clean.csv --rejects rejects.csv"))
def clean(
    raw: Annotated[Path, typer.Argument(help="LANL's flows.txt, plain or gzip.")],
    out: Annotated[Path, typer.Option(help="The clean file to write.")],
    rejects: Annotated[Path | None, typer.Option(help="Where rejected lines go; beside OUT by default.")] = None,
) -> None:
    """Keep every line with nine fields, numbered; set the others aside with their reason."""
    from flows_platform.commands.terminal import progress_bar, say
    from flows_platform.sources.lanl_flows.cleaning import clean as run

    rejects = rejects or out.with_name(f"{out.stem}.rejected.csv")
    with progress_bar("Cleaning", "bytes") as progress:
        result = run(raw, out, rejects, progress=progress)
    say(f"{out}: {result.read:,} lines read, {result.kept:,} kept, {result.rejected:,} rejected to {rejects}")


@app.command(epilog=_examples("flows load clean.csv --database flows.db"))
def load(
    clean_file: Annotated[Path, typer.Argument(metavar="CLEAN", help="The clean file.")],
    database: Annotated[Path, typer.Option(help="The sqlite database to build or replace.")],
) -> None:
    """Build the database that the API serves, and rename it over the old one."""
    from flows_platform.commands.terminal import progress_bar, say
    from flows_platform.sources.lanl_flows.schema import FLOWS
    from flows_platform.stores.sqlite_load import load as run

    with progress_bar("Loading", "bytes") as progress:
        result = run(clean_file, database, FLOWS, progress=progress)
    say(f"{database}: {result.loaded:,} rows, {result.rejected:,} rejected (table `rejected`)")


@app.command(
    epilog=_examples(
        "flows serve --database flows.db",
        "flows serve --database flows.db --host 0.0.0.0 --tokens tokens.json --certificate cert.pem --key key.pem",
    )
)
def serve(
    database: Annotated[Path, typer.Option(help="The database that `flows load` built.")],
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to bind.")] = 8040,
    *,
    tokens: Annotated[Path | None, typer.Option(help="Ask for the tokens in this file.")] = None,
    no_tokens: Annotated[bool, typer.Option("--no-tokens", help="Ask for none, even where others reach us.")] = False,
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate: serve TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.")] = None,
    streams: Annotated[int, typer.Option(min=1, help="Streams at once; a further one gets a 503.")] = 24,
    write_timeout: Annotated[float, typer.Option(min=1, help="Seconds a reader may take for a chunk.")] = 60,
    head_timeout: Annotated[float, typer.Option(min=1, help="Seconds a request's head may take.")] = 10,
) -> None:
    """Serve flows and CVEs until Ctrl-C; anywhere but on loopback it asks for tokens, which `flows token` makes."""
    from api_server.config import ServerConfig
    from flows_platform.commands.serve import serve as run

    config = ServerConfig(
        database=database,
        tokens=tokens,
        without_tokens=no_tokens,
        certificate=certificate,
        key=key,
        active_streams=streams,
        write_seconds=write_timeout,
        head_seconds=head_timeout,
    )
    run(config, host, port)


token_app = typer.Typer(help="Make, list and revoke the API server's bearer tokens.", no_args_is_help=True)
app.add_typer(token_app, name="token")
TokenFile = Annotated[Path | None, typer.Option("--tokens", help="The token file; tokens.json in FLOWS_HOME if none.")]


@token_app.command(
    epilog=_examples("flows token create nightly", "flows token create probe --scope status:read --tokens tokens.json")
)
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="flows:read, status:read or cves:read; all if none is given.")
    ] = None,
    tokens: TokenFile = None,
) -> None:
    """Print a new token, once; the file keeps its hash."""
    from flows_platform.commands.token import create as run

    run(name, scope or [], tokens)


@token_app.command("list", epilog=_examples("flows token list"))
def list_tokens(tokens: TokenFile = None) -> None:
    """Print name, scopes and age of each token."""
    from flows_platform.commands.token import show

    show(tokens)


@token_app.command(epilog=_examples("flows token revoke nightly"))
def revoke(name: Annotated[str, typer.Argument(help="The token's name.")], tokens: TokenFile = None) -> None:
    """Forget a token; a running server refuses it at once."""
    from flows_platform.commands.token import revoke as run

    run(name, tokens)


@app.command(
    epilog=_examples(
        "flows fetch --url http://127.0.0.1:8040/api/v1/stream/flows --after 10799 --before 21599 --out window.parquet",
        "flows fetch --url https://example.org/flows --before 10799 --format auto --out first.parquet",
    )
)
def fetch(
    url: Annotated[str, typer.Option(help="The full stream endpoint.")],
    before: Annotated[int, typer.Option(min=0, help="Last second, inclusive.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    after: Annotated[int | None, typer.Option(min=0, help="Second before the first one; none starts at 0.")] = None,
    wire: Annotated[str, typer.Option("--format", help="json, xml, ndjson, csv, arrow or auto.")] = "json",
    max_rejected: Annotated[int, typer.Option(min=0, help="Rejected records that are still allowed.")] = 0,
) -> None:
    """Fetch one window into a Parquet file, whole and verified, or not at all."""
    from flows_platform.commands.fetch import fetch_file

    fetch_file(url, after, before, out, wire=wire, max_rejected=max_rejected)


@app.command(epilog=_examples("flows demo", "flows demo --rows 50000"))
def demo(rows: Annotated[int, typer.Option(min=1, help="Rows of the sample.")] = 1_000_000) -> None:
    """Run the whole path on a two-day sample and compare the table with the database row by row."""
    from flows_platform.commands.demo import run_demo

    if not run_demo(rows):
        raise typer.Exit(FAILED)


@app.command(epilog=_examples("flows dev"))
def dev() -> None:
    """Run API, emulator and Dagster (UI and daemon) until Ctrl-C."""
    from flows_platform.commands.dev import run_dev

    run_dev()


@app.command(epilog=_examples("flows doctor"))
def doctor() -> None:
    """Check settings, ports, credentials, API and warehouse; each failing line says the remedy."""
    from flows_platform.commands.doctor import run_doctor

    if not run_doctor():
        raise typer.Exit(FAILED)


@app.command(
    epilog=_examples(
        "flows verify", "flows verify --rows --partition 2014-01-01-03:00", "flows verify --table nvd_cves"
    )
)
def verify(
    partition: Annotated[list[str] | None, typer.Option(help="A window's key, or several; all by default.")] = None,
    *,
    table: Table = FLOWS_TABLE,
    rows: Annotated[bool, typer.Option("--rows", help="Compare digests of all rows, not counts alone.")] = False,
) -> None:
    """Compare source, staged files and warehouse window by window, and name those that differ."""
    from flows_platform.commands.verify import run_verify

    if not run_verify(table, partition or [], by_rows=rows):
        raise typer.Exit(FAILED)


@app.command(epilog=_examples("flows replay 2014-01-01-03:00"))
def replay(
    partition: Annotated[list[str], typer.Argument(help="Keys of windows.")], *, table: Table = FLOWS_TABLE
) -> None:
    """Run the quarantined records of windows through again after a fix, without fetching, and publish the windows."""
    from flows_platform.commands.verify import run_replay

    run_replay(table, partition)


@app.command(epilog=_examples("flows history 2014-01-01-03:00"))
def history(partition: Annotated[str, typer.Argument(help="A window's key.")], *, table: Table = FLOWS_TABLE) -> None:
    """Tell a window's ledger: every request, file, job and row count, oldest first."""
    from flows_platform.commands.verify import run_history

    run_history(table, partition)


def main() -> None:
    """The command's entry: 0 when it did its work, 1 when it failed, 2 when it was used or configured wrongly."""
    if not sys.stderr.isatty():  # what is tried again is for who watches; a pipe gets the one last message
        logging.getLogger("flows_platform").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except PlatformError as error:
        print(f"flows: {error}", file=sys.stderr)  # noqa: T201 - the one line a person needs
        code = WRONG_USE if isinstance(error, ConfigurationError) else FAILED
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left
        code = FAILED
    sys.exit(code)
