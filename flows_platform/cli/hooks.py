"""Arguments of `flows hook`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples

hook_app = typer.Typer(help="Set a webhook up: make its secret, send it a delivery, try it out.", no_args_is_help=True)
app.add_typer(hook_app, name="hook")


@hook_app.callback()
def hook() -> None:
    """Set a webhook up: make its secret, send it a delivery, try it out."""


@hook_app.command(
    epilog=examples(
        "flows hook send vendor_alerts --file alert.json",
        "flows hook send vendor_alerts --file alert.json --url https://hooks.example.com/api/v1/hooks/vendor_alerts",
    )
)
def send(
    name: Annotated[str, typer.Argument(help="The webhook's name.")],
    file: Annotated[Path, typer.Option(help="The body to send, as the vendor would.")],
    url: Annotated[
        str | None, typer.Option(help="The receiver's URL, without a key; by default our own API server's.")
    ] = None,
) -> None:
    """Sign a delivery as its vendor does, send it, and show the answer."""
    from flows_platform.cli.commands.hook_send import run_send

    run_send(name, file, url)


@hook_app.command(epilog=examples("flows hook secret", "flows hook secret --kind github"))
def secret(
    kind: Annotated[
        str, typer.Option(help="The kind of `verify`; its secrets may have a form of their own.")
    ] = "standard",
) -> None:
    """Print a new secret to share with a vendor."""
    from flows_platform.cli.commands.hook_send import print_secret

    print_secret(kind)


@hook_app.command(epilog=examples("flows hook demo", "TS_AWS_S3_BUCKET=alerts flows hook demo --port 8080"))
def demo(port: Annotated[int, typer.Option(min=1, max=65535, help="Port to bind.")] = 8040) -> None:
    """Receive Threat Stack's alerts on this machine until Ctrl-C, without a secret or tokens.

    The archive is the folder archive in FLOWS_HOME, or the bucket that TS_AWS_S3_BUCKET and TS_AWS_S3_PREFIX name, at
    AWS_ENDPOINT_URL if that is set. Details are fetched from THREATSTACK_BASE_URL with THREATSTACK_API_KEY.
    """
    from flows_platform.cli.commands.hook_demo import run_demo

    run_demo(port)
