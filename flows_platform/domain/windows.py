"""Windows of time: half-open, UTC, on a grid. All window arithmetic is here; it never reads the clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo

from flows_platform.domain.errors import ConfigurationError

KEY_FORMAT = "%Y-%m-%d-%H:%M"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The instants t with `start <= t < end`; both are aware and UTC. `zone` is the time zone of its key only."""

    start: datetime
    end: datetime
    zone: tzinfo = field(default=UTC, compare=False)

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.end.utcoffset() != timedelta(0):
            raise ValueError(f"a window's bounds are UTC; got {self.start!r} and {self.end!r}")
        if self.start >= self.end:
            raise ValueError(f"a window starts before it ends; got {self.start} and {self.end}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def key(self) -> str:
        """The partition key: the window's start on the zone's clock, as `2014-01-01-03:00`.

        A day whose midnight the clock skips has 00:00 in its key all the same, as in Dagster.
        """
        clock = self.start.astimezone(self.zone)
        midnight = datetime.combine(clock.date(), time(), self.zone)
        # In UTC, since Python never finds times of two zones equal if one of them is skipped or repeated.
        return (midnight if midnight.astimezone(UTC) == self.start else clock).strftime(KEY_FORMAT)

    def pieces(self, longest: timedelta | None) -> Iterator["Window"]:
        """The window itself, or windows of at most `longest` that tile it."""
        start = self.start
        while longest and self.end - start > longest:
            yield Window(start, start + longest, self.zone)
            start += longest
        yield Window(start, self.end, self.zone)


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """A window as the API's parameters: seconds with `after < time <= before`; `after` is None if it would be < 0."""

    after: int | None
    before: int

    @property
    def first(self) -> int:
        """The first second inside."""
        return 0 if self.after is None else self.after + 1

    def __contains__(self, second: int) -> bool:
        return self.first <= second <= self.before


def bounds_since(epoch: datetime, window: Window) -> TimeBounds:
    """The API bounds of `window`, in whole seconds since `epoch`.

    `[a, b)` is `after = a - 1`, `before = b - 1`. If a is 0, `after` is None, since the API refuses negative numbers.

    Raises:
        ConfigurationError: the window starts before the epoch, or not on a whole second of it.
    """
    first, last = window.start - epoch, window.end - epoch
    if first < timedelta(0):
        raise ConfigurationError(
            f"the window {window.key} starts before the epoch {epoch:%Y-%m-%dT%H:%M:%SZ}.",
            remedy="Set FLOWS_EPOCH to the data set's second 0, at or before its first window.",
        )
    if first % timedelta(seconds=1) or last % timedelta(seconds=1):
        raise ConfigurationError(
            f"the window {window.key} does not start and end on whole seconds of the epoch {epoch}."
        )
    start, end = first // timedelta(seconds=1), last // timedelta(seconds=1)
    return TimeBounds(after=start - 1 if start else None, before=end - 1)


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows of equal length from `start` on. In a `zone` other than UTC they are whole days that begin at midnight.

    Such a day lasts 23 to 25 hours when the clock changes. If midnight comes twice, the first one counts.
    """

    start: datetime
    length: timedelta
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        """Refuse other windows on a clock that may change: two could share a key, and Dagster would cut others.

        Raises:
            ConfigurationError: in a zone other than UTC, the windows are not whole days that begin at midnight.
        """
        if self.zone.utcoffset(None) == timedelta(0):
            return
        if self.length % timedelta(days=1) or self._clock(self.start).time() != time():
            raise ConfigurationError(
                f"windows of {self.length} from {self._clock(self.start):%Y-%m-%d %H:%M} in the time zone {self.zone}: "
                "a time zone other than UTC needs whole days that begin at midnight.",
                remedy="Use UTC for other windows.",
            )

    def floor(self, instant: datetime) -> Window:
        """The window that holds `instant`."""
        clock = self._clock(instant)
        origin = self._clock(self.start)
        begin = origin + (clock - origin) // self.length * self.length
        # When the clock changes around midnight, it may show one day's date while the other day's window is open.
        # guard: instants around a midnight that is changed
        if instant < self._instant(begin):
            begin -= self.length
        elif instant >= self._instant(begin + self.length):
            begin += self.length
        return Window(self._instant(begin), self._instant(begin + self.length), self.zone)

    def _clock(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def _instant(self, clock: datetime) -> datetime:
        return clock.replace(tzinfo=self.zone).astimezone(UTC)

    def from_key(self, key: str) -> Window:
        """The window that a partition key names.

        Raises:
            ConfigurationError: the key is not a window's start.
        """
        try:
            start = self._instant(datetime.strptime(key, KEY_FORMAT))  # noqa: DTZ007 - on the zone's clock
            window = self.floor(start)
        except (ValueError, OverflowError):  # also at the first and last years of the calendar
            window = None
        # guard: a window has one key
        if window is None or window.key != key:  # strptime also reads 2014-1-1-3:00
            raise ConfigurationError(
                f"{key!r} does not name a window: keys are window starts in the time zone {self.zone}, "
                f"{self.nth(0).key!r}, {self.nth(1).key!r} and so on."
            )
        return window

    def number(self, window: Window) -> int:
        """How many windows the grid has before `window`."""
        return (self._clock(window.start) - self._clock(self.start)) // self.length

    def nth(self, number: int) -> Window:
        """The window with that number."""
        begin = self._clock(self.start) + number * self.length
        return Window(self._instant(begin), self._instant(begin + self.length), self.zone)

    def number_of_key(self, key: str) -> int | None:
        """The number of the window that a partition key names; None if it names none. It takes 1 µs."""
        try:
            begin = datetime.fromisoformat(f"{key[:10]}T{key[11:]}")
        except ValueError:
            return None
        number, rest = divmod(begin - self._clock(self.start), self.length)
        return None if rest or number < 0 else number

    def after(self, window: Window) -> Window:
        """The window that follows."""
        return self.floor(window.end)

    def before(self, window: Window) -> Window:
        """The window that precedes."""
        return self.floor(window.start - timedelta(microseconds=1))

    def closed(self, now: datetime, *, grace: timedelta = timedelta(0)) -> Window:
        """The last window that ended at least `grace` ago."""
        return self.before(self.floor(now - grace))

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """The windows from `first` to `last`, both included."""
        window = first
        while window.start <= last.start:
            yield window
            window = self.after(window)
