"""Arguments of the commands that run the platform or parts of it: serve, demo, dev, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import FAILED, app, examples


@app.command(
    epilog=examples(
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


@app.command(epilog=examples("flows demo", "flows demo --rows 50000"))
def demo(rows: Annotated[int, typer.Option(min=1, help="Rows of the sample.")] = 1_000_000) -> None:
    """Run the whole path on a two-day sample and compare the table with the database row by row."""
    from flows_platform.commands.demo import run_demo

    if not run_demo(rows):
        raise typer.Exit(FAILED)


@app.command(epilog=examples("flows dev"))
def dev() -> None:
    """Run API, emulator and Dagster (UI and daemon) until Ctrl-C."""
    from flows_platform.commands.dev import run_dev

    run_dev()


@app.command(epilog=examples("flows doctor"))
def doctor() -> None:
    """Check settings, ports, credentials, API and warehouse; each failing line says the remedy."""
    from flows_platform.commands.doctor import run_doctor

    if not run_doctor():
        raise typer.Exit(FAILED)
