"""How an API is asked for a window: its parameters' names, how they write an instant, which bounds they include."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window


class InstantText(Protocol):
    """How a parameter writes an instant; `resolution` is the least step between two that it can tell apart."""

    @property
    def resolution(self) -> timedelta: ...

    def render(self, instant: datetime) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Seconds:
    """Whole seconds since `epoch`. An instant before it has none: that bound is left out of the request."""

    epoch: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    resolution = timedelta(seconds=1)

    def render(self, instant: datetime) -> str | None:
        """The number as text.

        Raises:
            ConfigurationError: the instant lies off the seconds, or before the last one that precedes the epoch.
        """
        seconds, rest = divmod(instant - self.epoch, self.resolution)
        if rest or seconds < -1:
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%S.%fZ} is no whole number of seconds since {self.epoch:%Y-%m-%dT%H:%M:%SZ}."
            )
        return None if seconds < 0 else str(seconds)


@dataclass(frozen=True, slots=True)
class IsoTime:
    """ISO 8601 in UTC with `digits` of a second's fraction (0, 3 or 6) and `suffix`: Z, +00:00 or nothing."""

    digits: int = 0
    suffix: str = "Z"

    @property
    def resolution(self) -> timedelta:
        return timedelta(microseconds=10 ** (6 - self.digits))

    def render(self, instant: datetime) -> str:
        """The text.

        Raises:
            ConfigurationError: the instant has a finer fraction than the parameter.
        """
        if instant.microsecond % (self.resolution // timedelta(microseconds=1)):
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%S.%fZ} has more than {self.digits} digits of a second's fraction."
            )
        text = instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return text[: 20 + self.digits].rstrip(".") + self.suffix


@dataclass(frozen=True, slots=True)
class IsoDate:
    """A day of UTC."""

    resolution = timedelta(days=1)

    def render(self, instant: datetime) -> str:
        """The date.

        Raises:
            ConfigurationError: the instant is no midnight.
        """
        if instant.astimezone(UTC).time() != datetime.min.time():
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%SZ} is no midnight of UTC, and this API's time parameters are dates.",
                remedy="Lay windows of whole days in UTC.",
            )
        return instant.astimezone(UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class TimeParameters:
    """The parameters of a time range. `text` None means seconds since the schema's epoch.

    Where the API's bounds are not known `exact`, the request is right under every reading of them: it asks for a step
    more, and records outside the window, which are its neighbours', are let go. `longest` is the longest range the API
    takes at once: a longer window is asked for in pieces.
    """

    after: str = "scanned_after"
    after_inclusive: bool = False
    before: str = "scanned_before"
    before_inclusive: bool = True
    text: InstantText | None = None
    exact: bool = True
    longest: timedelta | None = None

    def pieces(self, window: Window) -> Iterator[Window]:
        """The ranges in which the window is asked for."""
        return window.pieces(self.longest)

    def render(self, window: Window, epoch: datetime) -> dict[str, str]:
        """The query parameters that ask for exactly the instants of `window`.

        Raises:
            ConfigurationError: the parameters cannot write the window's bounds.
        """
        text = self.text or Seconds(epoch)
        first = window.start if self.after_inclusive and self.exact else window.start - text.resolution
        last = window.end - text.resolution if self.before_inclusive and self.exact else window.end
        rendered = {self.after: text.render(first), self.before: text.render(last)}
        if rendered[self.before] is None:  # without it the API would give all that there is
            raise ConfigurationError(
                f"the window {window.key} ends before the first instant that {self.before} can say."
            )
        return {name: value for name, value in sorted(rendered.items()) if value is not None}


OUR_OWN = TimeParameters()
