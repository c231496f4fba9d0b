"""Windows of time: half-open, UTC, on a grid. All window arithmetic is here; it never reads the clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.window_length import WindowLength, is_whole_days, lengths_between, moved

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
    """Windows of one length from `start` on: equal spans of time, or months of the calendar.

    In a `zone` other than UTC they are whole days, or months, that begin at midnight. Such a day lasts 23 to 25 hours
    when the clock changes. If midnight comes twice, the first one counts.
    """

    start: datetime
    length: WindowLength
    zone: tzinfo = UTC
    _first: datetime = field(init=False, repr=False, compare=False)  # `start` on the zone's clock

    def __post_init__(self) -> None:
        """Refuse other windows on a clock that may change: two could share a key, and Dagster would cut others.

        Raises:
            ConfigurationError: in a zone other than UTC, the windows are not whole days that begin at midnight.
        """
        object.__setattr__(self, "_first", self._clock(self.start))
        if self.zone.utcoffset(None) == timedelta(0):
            return
        if not is_whole_days(self.length) or self._first.time() != time():
            raise ConfigurationError(
                f"windows of {self.length} from {self._first:%Y-%m-%d %H:%M} in the time zone {self.zone}: "
                "a time zone other than UTC needs whole days or months that begin at midnight.",
                remedy="Use UTC for other windows.",
            )

    def floor(self, instant: datetime) -> Window:
        """The window that holds `instant`."""
        number = self._number(self._clock(instant))
        window = self.nth(number)
        # When the clock changes around midnight, it may show one day's date while the other day's window is open.
        # guard: instants around a midnight that is changed
        if instant < window.start:
            window = self.nth(number - 1)
        elif instant >= window.end:
            window = self.nth(number + 1)
        return window

    def _clock(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def _instant(self, clock: datetime) -> datetime:
        return clock.replace(tzinfo=self.zone).astimezone(UTC)

    def _number(self, clock: datetime) -> int:
        return lengths_between(self._first, clock, self.length)

    def _begin(self, number: int) -> datetime:
        return moved(self._first, self.length, number)

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
        return self._number(self._clock(window.start))

    def nth(self, number: int) -> Window:
        """The window with that number."""
        begin, end = (self._instant(self._begin(index)) for index in (number, number + 1))
        return Window(begin, end, self.zone)

    def number_of_key(self, key: str) -> int | None:
        """The number of the window that a partition key names; None if it names none. It takes 1.4 µs."""
        try:
            begin = datetime.fromisoformat(f"{key[:10]}T{key[11:]}")
        except ValueError:
            return None
        number = self._number(begin)
        return None if number < 0 or self._begin(number) != begin else number

    def after(self, window: Window) -> Window:
        """The window that follows."""
        return self.nth(self.number(window) + 1)

    def before(self, window: Window) -> Window:
        """The window that precedes."""
        return self.nth(self.number(window) - 1)

    def closed(self, now: datetime, *, grace: timedelta = timedelta(0)) -> Window:
        """The last window that ended at least `grace` ago."""
        return self.before(self.floor(now - grace))

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """The windows from `first` to `last`, both included."""
        for number in range(self.number(first), self.number(last) + 1):
            yield self.nth(number)
