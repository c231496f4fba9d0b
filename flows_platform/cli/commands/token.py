"""`flows token`: makes, lists and revokes bearer tokens of the API server."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from api_server.http.tokens import Scope, create_token, read_tokens, revoke_token
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.terminal import say
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import load_settings


def default_token_file() -> Path:
    """The file of tokens unless another one is named."""
    return load_settings().files.home / "tokens.json"


def create(name: str, scopes: Sequence[str], file: Path | None) -> None:
    """Print a new token, alone on standard output.

    Raises:
        ConfigurationError: a scope is unknown, or the name is in use.
    """
    unknown = [scope for scope in scopes if scope not in set(Scope)]
    if unknown:
        raise ConfigurationError(f"there is no scope {unknown[0]!r}.", remedy=f"Choose from {', '.join(Scope)}.")
    file = file or default_token_file()
    say(create_token(file, name, [Scope(scope) for scope in scopes] or list(Scope), datetime.now(UTC)))
    console.print(f"This is the only time the token is shown; {file} keeps its hash.")


def show(file: Path | None) -> None:
    """Print a line per token: its name, its scopes, and when it was made."""
    for entry in read_tokens(file or default_token_file()):
        say(f"{entry.name}\t{' '.join(entry.scopes)}\t{entry.created}")


def revoke(name: str, file: Path | None) -> None:
    """Revoke a token."""
    revoke_token(file or default_token_file(), name)
    say(f"{name} is revoked")
