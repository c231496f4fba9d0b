"""Arguments of the commands that run and check the platform: serve, demo, dev, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import FAILED, app, examples

Speed = Annotated[
    float | None,
    typer.Option(
        min=1, max=86_400, help="Speed of a simulated clock: it shows a row once it has passed the row's time."
    ),
]


@app.command(
    epilog=examples(
        "flows serve",
        "flows serve --database flows.db --no-reports",
        "flows serve --database flows.db --host 0.0.0.0 --tokens tokens.json --certificate cert.pem --key key.pem",
        "flows serve --database flows.db --simulate 360 --late-share 0.01 --late-minutes 240",
    )
)
def serve(
    database: Annotated[
        Path | None, typer.Option(help="The database that `flows load` built; by default that of FLOWS_HOME, if any.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to bind.")] = 8040,
    *,
    also_port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, help="A further port, such as 443; may be given again.")
    ] = None,
    allowed_hosts: Annotated[
        str,
        typer.Option(
            envvar="FLOWS_ALLOWED_HOSTS", help="Host names, by commas, that it answers to besides loopback's."
        ),
    ] = "",
    tokens: Annotated[Path | None, typer.Option(help="Ask for the tokens in this file.")] = None,
    no_tokens: Annotated[bool, typer.Option("--no-tokens", help="Ask for no tokens, even off loopback.")] = False,
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate: serve TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.")] = None,
    no_page_checks: Annotated[
        bool, typer.Option("--no-page-checks", help="Serve pages without comparing them with the load's checksums.")
    ] = False,
    no_reports: Annotated[
        bool, typer.Option("--no-reports", help="Serve no reports, which take 2 s at the start and 60 MB.")
    ] = False,
    reports_a_minute: Annotated[
        int, typer.Option(min=0, help="Requests for reports that one token may send a minute; 0 for no limit.")
    ] = 1200,
    streams: Annotated[int, typer.Option(min=1, help="Streams at once; further ones get a 503.")] = 24,
    write_timeout: Annotated[float, typer.Option(min=1, help="Seconds a reader may take for a chunk.")] = 60,
    head_timeout: Annotated[float, typer.Option(min=1, help="Seconds a request's head may take.")] = 10,
    simulate: Speed = None,
    simulated_start: Annotated[
        str | None, typer.Option(help="When the simulated clock is at second 0, as ISO 8601; now by default.")
    ] = None,
    late_share: Annotated[float, typer.Option(min=0, max=1, help="Share of the rows that appear late.")] = 0,
    late_minutes: Annotated[int, typer.Option(min=0, help="Minutes of the data set by which they are late.")] = 0,
) -> None:
    """Serve flows, CVEs and reports, and receive webhooks, until Ctrl-C.

    Off loopback it asks for tokens, which `flows token` makes.
    """
    from api_server.config import ServerConfig
    from flows_platform.access.hosts import host_names
    from flows_platform.cli.commands.serve import ServedData, simulation_of
    from flows_platform.cli.commands.serve import serve as run

    config = ServerConfig(
        hosts=host_names(allowed_hosts),
        tokens=tokens,
        without_tokens=no_tokens,
        certificate=certificate,
        key=key,
        also_ports=tuple(also_port or ()),
        active_streams=streams,
        write_seconds=write_timeout,
        head_seconds=head_timeout,
    )
    simulation = simulation_of(simulate, simulated_start, late_share, late_minutes)
    data = ServedData(
        database,
        compare_pages=not no_page_checks,
        simulation=simulation,
        reports=not no_reports,
        reports_a_minute=reports_a_minute,
    )
    run(config, data, host, port)


@app.command(epilog=examples("flows demo", "flows demo --rows 50000"))
def demo(rows: Annotated[int, typer.Option(min=1, help="Rows of the sample.")] = 1_000_000) -> None:
    """Run the whole path on a two-day sample and compare the table with the database row by row."""
    from flows_platform.cli.commands.demo import run_demo

    if not run_demo(rows):
        raise typer.Exit(FAILED)


@app.command(epilog=examples("flows dev", "flows dev --simulate 60"))
def dev(*, simulate: Speed = None) -> None:
    """Run API, emulator and Dagster (UI and daemon) until Ctrl-C; ports are settings, such as FLOWS_DAGSTER_PORT."""
    from flows_platform.cli.commands.dev import run_dev

    run_dev(simulate)


@app.command(epilog=examples("flows doctor", "flows doctor --no-requests"))
def doctor(
    *,
    no_requests: Annotated[
        bool, typer.Option("--no-requests", help="Do not send a request to each source of the project.")
    ] = False,
) -> None:
    """Check settings, files, credentials, API, warehouse, Dagster and the project's sources, with remedies."""
    from flows_platform.cli.commands.doctor import run_doctor

    if run_doctor(requests=not no_requests):
        raise typer.Exit(FAILED)
