"""Arguments of the commands from file to file: generate, clean, load, fetch."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples
from flows_platform.flow_database.replacement import MAX_REJECTED_SHARE, MAX_SHRINK, ReplacementRules
from flows_platform.runtime.imports import collector_paused

RejectedShare = Annotated[
    float,
    typer.Option(
        min=0, max=1, envvar="FLOWS_MAX_RAW_REJECTED_SHARE", help="Rejected share above which the old file is kept."
    ),
]
Shrink = Annotated[
    float,
    typer.Option(min=0, max=1, envvar="FLOWS_MAX_RAW_SHRINK", help="Share of the old rows that the new file may lack."),
]
AllowShrink = Annotated[
    bool, typer.Option("--allow-shrink", help="Replace the old file regardless of the number of rejects and rows.")
]


@app.command(epilog=examples("flows generate --rows 1000000 --days 2 --out flows.txt.gz"))
def generate(
    rows: Annotated[int, typer.Option(min=1, help="Rows to write.")],
    out: Annotated[Path, typer.Option(help="File to write; gzip if its name ends in .gz.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    days: Annotated[int, typer.Option(min=1, help="Days that the rows cover.")] = 58,
) -> None:
    """Write a deterministic sample in the shape of LANL's flows.txt."""
    from flows_platform.cli.commands.terminal import progress_bar, say
    from flows_platform.sources.lanl_flows.sample.generator import generate as run

    with progress_bar("Generating", "rows") as progress:
        made = run(out, rows=rows, seed=seed, days=days, progress=progress)
    say(f"{out}: {made.rows:,} rows, {made.bytes:,} bytes")


@app.command(epilog=examples("flows clean flows.txt.gz --out clean.csv --rejects rejects.csv"))
def clean(
    raw: Annotated[Path, typer.Argument(help="LANL's flows.txt, plain or as gzip, bzip2, xz or zip.")],
    out: Annotated[Path, typer.Option(help="The clean file to write.")],
    rejects: Annotated[Path | None, typer.Option(help="File for rejected lines; beside OUT by default.")] = None,
    *,
    max_rejected_share: RejectedShare = MAX_REJECTED_SHARE,
    max_shrink: Shrink = MAX_SHRINK,
    allow_shrink: AllowShrink = False,
) -> None:
    """Keep and number every line with nine fields; write the others to a file with their reason."""
    with collector_paused():
        from flows_platform.cli.commands.terminal import progress_bar, say
        from flows_platform.sources.lanl_flows.cleaning import clean as run

    rejects = rejects or out.with_name(f"{out.stem}.rejected.csv")
    with progress_bar("Cleaning", "bytes") as progress:
        rules = ReplacementRules(max_rejected_share, max_shrink, allow_shrink)
        result = run(raw, out, rejects, rules=rules, progress=progress)
    if result.byte_order_mark:
        say(f"{raw} begins with a UTF-8 byte order mark, which was left out.")
    if result.header:
        say(f"{raw} begins with a header line, which is among the rejects.")
    say(f"{out}: {result.read:,} lines read, {result.kept:,} kept, {result.rejected:,} rejected to {rejects}")


@app.command(epilog=examples("flows load clean.csv --database flows.db"))
def load(
    clean_file: Annotated[Path, typer.Argument(metavar="CLEAN", help="The clean file.")],
    database: Annotated[Path, typer.Option(help="The sqlite database to build or replace.")],
    *,
    max_rejected_share: RejectedShare = MAX_REJECTED_SHARE,
    max_shrink: Shrink = MAX_SHRINK,
    allow_shrink: AllowShrink = False,
) -> None:
    """Build the database that the API serves, and replace the old one with it."""
    from flows_platform.cli.commands.terminal import progress_bar, say
    from flows_platform.flow_database.load import load as run
    from flows_platform.sources.lanl_flows.schema import FLOWS

    with progress_bar("Loading", "bytes") as progress:
        rules = ReplacementRules(max_rejected_share, max_shrink, allow_shrink)
        result = run(clean_file, database, FLOWS, rules=rules, progress=progress)
    say(f"{database}: {result.loaded:,} rows, {result.rejected:,} rejected (table `rejected`)")


@app.command(
    epilog=examples(
        "flows fetch --url http://127.0.0.1:8040/api/v1/stream/flows --after 10799 --before 21599 --out window.parquet",
        "flows fetch --url https://example.org/flows --before 10799 --format auto --out first.parquet",
    )
)
def fetch(
    url: Annotated[str, typer.Option(help="The full stream endpoint.")],
    before: Annotated[int, typer.Option(min=0, help="Last second, inclusive.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    after: Annotated[int | None, typer.Option(min=0, help="Second before the first one; without it, from 0.")] = None,
    wire: Annotated[str, typer.Option("--format", help="json, xml, ndjson, csv, arrow or auto.")] = "json",
    max_rejected: Annotated[int, typer.Option(min=0, help="Rejected records that are still allowed.")] = 0,
) -> None:
    """Fetch one window into a Parquet file, complete and verified or not at all."""
    with collector_paused():
        from flows_platform.cli.commands.fetch import fetch_file

    fetch_file(url, after, before, out, wire=wire, max_rejected=max_rejected)
