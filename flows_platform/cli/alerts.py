"""Arguments of `flows alerts`."""

from typing import Annotated

import typer

from flows_platform.cli.app import FAILED, app, examples
from flows_platform.domain.errors import ConfigurationError

alerts_app = typer.Typer(help="Look into the archive of webhooks, and fetch details again.", no_args_is_help=True)
app.add_typer(alerts_app, name="alerts")
Source = Annotated[str | None, typer.Option(help="The webhook's name; by default all webhooks.")]


@alerts_app.command("list", epilog=examples("flows alerts list", "flows alerts list --source vendor_alerts --dead"))
def list_alerts(
    *,
    source: Source = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The most of a webhook that are listed.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """List the records whose details are pending or given up, with the reason."""
    from flows_platform.cli.commands.alerts import run_list

    run_list(source, only_dead=dead, limit=limit, as_json=as_json)


@alerts_app.command(epilog=examples("flows alerts show 5a3c1", "flows alerts show 5a3c1 --source vendor_alerts"))
def show(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="The record's id.")], source: Source = None
) -> None:
    """Print a record with its detail, as the archive has them, as one JSON object."""
    from flows_platform.cli.commands.alerts import run_show

    if not run_show(record_id, source):
        raise typer.Exit(FAILED)


@alerts_app.command(
    epilog=examples("flows alerts replay --dead", "flows alerts replay --source vendor_alerts 5a3c1 5a3c2")
)
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Records whose details are due again.")
    ] = None,
    *,
    source: Source = None,
    dead: Annotated[bool, typer.Option("--dead", help="All details that were given up.")] = False,
) -> None:
    """Make details due again; the running API server fetches them within half a minute. Also ends a stop."""
    from flows_platform.cli.commands.alerts import run_replay

    if bool(ids) == dead:
        raise ConfigurationError("which details are due again?", remedy="Name ids, or give --dead.")
    run_replay(source, ids)


@alerts_app.command(epilog=examples("flows alerts reindex", "flows alerts reindex --source vendor_alerts"))
def reindex(source: Source = None) -> None:
    """Rebuild the journal from the archive; what is still to be stored stays."""
    from flows_platform.cli.commands.alerts import run_reindex

    run_reindex(source)
