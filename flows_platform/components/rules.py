"""Rules for single values of a declaration that types do not express."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from flows_platform.declared import KeyPath, did_you_mean, is_template, parsed
from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError

WINDOW_FILES = "_windows"  # ends the default name of a table's asset of window files
_ENVIRONMENT = re.compile(r"\{\{.*?\benv\b\W*(\w*)", re.DOTALL)


def texts_at(given: object, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """All texts of a declaration, with the paths of their keys."""
    if isinstance(given, str):
        yield at, given
    inner = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in inner:
        yield from texts_at(value, (*at, key))


def environment_in(text: str) -> str | None:
    """The name of the environment variable that a template inserts, or None."""
    found = _ENVIRONMENT.search(text)
    return found and (found[1] or "NAME")


def checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A rule that `parse` must accept the text; a template is checked after it is replaced."""

    def rule(text: str) -> str:
        if not is_template(text):
            parsed(parse, text)
        return text

    return rule


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ConfigurationError: there is no such zone.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"{name!r} is not a time zone{did_you_mean(name, available_timezones()) or '.'}",
            remedy="Use UTC or a name such as Europe/Berlin.",
        ) from None


def require_url(text: str) -> None:
    """Refuse a text that is not an http(s) URL.

    Raises:
        ConfigurationError: the text is not an http(s) URL.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:  # a bracket without its pair, or a port that is not a number
        valid = False
    if not valid:
        raise ConfigurationError("this is not an http(s) URL.", remedy="Give the full endpoint.")


def instant_of(given: datetime | str, zone: tzinfo) -> datetime:
    """The instant in UTC; a time without a zone is local time of `zone`.

    Raises:
        ConfigurationError: the instant is not in the years 1 to 9999.
    """
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{moment} has no time in UTC from year 1 to 9999.") from None


is_cron = checked(Cron.parse)
is_zone = checked(zone_of)
is_url = checked(require_url)
