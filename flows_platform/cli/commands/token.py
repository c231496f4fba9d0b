"""`flows token`: makes, lists and revokes bearer tokens of the API server, and rotates the keys of short ones."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api_server.http.token_keys import keys_beside, rotate_keys
from api_server.http.tokens import Scope, create_token, is_report_scope, read_tokens, revoke_token
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.terminal import say
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import load_settings

SPAN = re.compile("([1-9][0-9]{0,4})([mhdw])", re.ASCII)
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NOTHING = "-"


def default_token_file() -> Path:
    """The file of tokens unless another one is named."""
    return load_settings().files.home / "tokens.json"


def create(
    name: str, scopes: Sequence[str], file: Path | None, *, fixed: Sequence[str] = (), expires: str | None = None
) -> None:
    """Print a new token, alone on standard output.

    Raises:
        ConfigurationError: a scope, a report or a parameter is unknown, a value is not allowed, or the name is in use.
    """
    now = datetime.now(UTC)
    values = _values(fixed)
    chosen = scopes or ([Scope.REPORTS_READ] if values else list(Scope))
    _check_scopes(chosen, values)
    end = _end(expires, now) if expires is not None else None
    file = file or default_token_file()
    say(create_token(file, name, chosen, now, fixed=values, expires=end))
    console.print(f"This is the only time the token is shown; {file} keeps its hash.")


def show(file: Path | None) -> None:
    """Print a line per token: its name, its scopes, when it was made, when it ends, and what it fixes."""
    for entry in read_tokens(file or default_token_file()):
        fixed = " ".join(f"{name}={value}" for name, value in entry.fixed.items())
        fields = [entry.name, " ".join(entry.scopes), entry.created, entry.expires, fixed]
        say("\t".join(field or NOTHING for field in fields))


def revoke(name: str, file: Path | None) -> None:
    """Revoke a token."""
    revoke_token(file or default_token_file(), name)
    say(f"{name} is revoked")


def rotate(file: Path | None) -> None:
    """Sign short tokens with a new key."""
    keys = keys_beside(file or default_token_file())
    rotate_keys(keys)
    say(f"{keys} has a new key; tokens of the key before count until they end")


def _values(fixed: Sequence[str]) -> dict[str, str]:
    """The fixed parameters."""
    found: dict[str, str] = {}
    for text in fixed:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--with {text!r} fixes nothing.", remedy="Write --with PARAMETER=VALUE.")
        if name in found:
            raise ConfigurationError(f"--with {name} is given twice.", remedy="A token fixes one value.")
        found[name] = value
    return found


def _end(text: str, now: datetime) -> datetime:
    """When a token ends."""
    try:
        span = SPAN.fullmatch(text)
        end = now + timedelta(**{UNITS[span[2]]: int(span[1])}) if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"--expires {text!r} is not a time.", remedy="Write 30d, 12h, 90m, or 2030-01-31T00:00:00Z."
        ) from error
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if end <= now:
        raise ConfigurationError(f"--expires {text!r} has passed.", remedy="Name a time to come.")
    return end.astimezone(UTC)


def _check_scopes(scopes: Sequence[str], fixed: Mapping[str, str]) -> None:
    """Refuse scopes that do not exist or do not go together, and parameters that their reports do not have."""
    plain = [scope for scope in scopes if not is_report_scope(scope)]
    if unknown := [scope for scope in plain if scope not in set(Scope)]:
        near = did_you_mean(unknown[0], Scope) or "."
        raise ConfigurationError(
            f"there is no scope {unknown[0]!r}{near}", remedy=f"Choose from {', '.join(Scope)} and reports:NAME."
        )
    # guard: a token with fixed parameters has no other scopes
    if fixed and plain:
        raise ConfigurationError(
            f"--with fixes parameters of reports, and {plain[0]} opens something else.",
            remedy="Make two tokens, or leave the scope out.",
        )
    if fixed or set(scopes) - set(Scope):
        # Declarations take a second to read.
        from flows_platform.cli.commands.token_reports import check_reports

        check_reports(scopes, fixed)
