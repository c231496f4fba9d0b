"""Rules for single values of a declaration that types do not express."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows_platform.declared import KeyPath, is_template, parsed
from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError

_ENVIRONMENT = re.compile(r"\{\{.*?\benv\b\W*(\w*)", re.DOTALL)


class Fault(NamedTuple):
    """What is wrong at a key."""

    at: KeyPath
    why: str


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
            f"{name!r} is not a time zone.", remedy="Use UTC or a name such as Europe/Berlin."
        ) from None


def require_url(text: str) -> None:
    """Refuse a text that is not an http(s) URL.

    Raises:
        ConfigurationError: the text is not an http(s) URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("this is not an http(s) URL.", remedy="Give the full endpoint.")


def instant_of(given: datetime | str, zone: tzinfo) -> datetime:
    """The instant in UTC; a time without a zone is local time of `zone`."""
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


is_cron = checked(Cron.parse)
is_zone = checked(zone_of)
is_url = checked(require_url)
