"""The parameters that ask an API for a window: their names, how they write an instant, which bounds they include."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag, WithJsonSchema

from flows_platform.columns.time_forms import PER_SECOND, TimeForm
from flows_platform.declared import STRFTIME_OR_NAME, Declared, parsed
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.strftime import StrftimeText, StrftimeTime
from flows_platform.domain.windows import Window
from flows_platform.fetch.range_templates import NO_TEMPLATES, Bounds, InstantText, RangeTemplates


class Written(StrEnum):
    """How a time parameter is written."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"
    ISO = "iso"
    ISO_MILLISECONDS = "iso_milliseconds"
    ISO_MICROSECONDS = "iso_microseconds"
    DATE = "date"


class Stop(StrEnum):
    """How far the records of a request are read that names no end."""

    BEYOND = "beyond"
    NEVER = "never"


DIGITS = {Written.ISO: 0, Written.ISO_MILLISECONDS: 3, Written.ISO_MICROSECONDS: 6}
UNIT_NAMES = {unit: form for form, unit in PER_SECOND.items()}


def _is_strftime(text: str) -> str:
    parsed(lambda given: StrftimeTime.of([StrftimeText.parse(given)]), text)
    return text


AnyWritten = Annotated[
    Annotated[Written, Tag("name")] | Annotated[str, AfterValidator(_is_strftime), Tag("strftime")],
    STRFTIME_OR_NAME,
    WithJsonSchema({"anyOf": [{"enum": [form.value for form in Written]}, {"type": "string", "pattern": "%"}]}),
]


@dataclass(frozen=True, slots=True)
class EpochTime:
    """A whole number since `epoch`, with `unit` steps a second (1, 1000, 10^6 or 10^9).

    An instant before the epoch has no number: the request leaves that bound out.
    """

    unit: int = 1
    epoch: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def resolution(self) -> timedelta:
        return timedelta(microseconds=max(10**6 // self.unit, 1))

    def render(self, instant: datetime) -> str | None:
        """The number as text.

        Raises:
            ConfigurationError: the instant is not a multiple of the unit, or is more than one unit before the epoch.
        """
        number, rest = divmod(instant - self.epoch, self.resolution)
        if rest or number < -1:
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%S.%fZ} is not a whole number of {UNIT_NAMES[self.unit]} since "
                f"{self.epoch:%Y-%m-%dT%H:%M:%SZ}."
            )
        return None if number < 0 else str(number * max(self.unit // 10**6, 1))


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
        # guard: times are not rounded to what a parameter can say
        if instant.microsecond % (self.resolution // timedelta(microseconds=1)):
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%S.%fZ} has more than {self.digits} digits of a second's fraction."
            )
        text = instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return text[: 20 + self.digits].rstrip(".") + self.suffix


@dataclass(frozen=True, slots=True)
class IsoDate:
    """A UTC date."""

    resolution = timedelta(days=1)

    def render(self, instant: datetime) -> str:
        """The date.

        Raises:
            ConfigurationError: the instant is not a midnight.
        """
        if instant.astimezone(UTC).time() != datetime.min.time():
            raise ConfigurationError(
                f"{instant:%Y-%m-%dT%H:%M:%SZ} is not a midnight of UTC, and this API's time parameters are dates.",
                remedy="Declare windows of whole days in UTC.",
            )
        return instant.astimezone(UTC).strftime("%Y-%m-%d")


FIRST_DAY = datetime(1000, 1, 1, tzinfo=UTC)
LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Beyond:
    """How far `before` and `after` a range a record of its answer may be; None: any distance."""

    before: timedelta | None = None
    after: timedelta | None = None

    def around(self, asked: Window, schema: TableSchema) -> Window | None:
        """The window that the answer may cover; None if it has no bound."""
        if self.before is None and self.after is None:
            return None
        start = FIRST_DAY if self.before is None else asked.start - self.before
        if schema.column(schema.time).type is ColumnType.INT64:
            start = max(start, schema.epoch)
        return Window(start, LAST_DAY if self.after is None else asked.end + self.after)


NOWHERE = Beyond(timedelta(0), timedelta(0))


class TimeParameters(Declared):
    """The parameters that ask for a time range."""

    # A request covers every instant of its range, however many digits the records' times have. An inclusive end is
    # requested as the end itself, an exclusive start as one step before it. The answer then also has some records of
    # neighbouring windows. If the time column counts whole seconds, an inclusive end is requested as the last second.
    # If the API's bounds are not known to be `exact`, the request covers the range under every reading of them, and
    # records before it or up to a day after it belong to neighbours. A window longer than the longest range is
    # requested in pieces.

    after: str | None = Field(
        None, description="Parameter with the range's start; may be left out where {start} is in the request."
    )
    before: str | None = Field(
        None,
        description="Parameter with the range's end; may be left out where {end} is in the request, or with `stop`.",
    )
    stop: Stop | None = Field(
        None,
        description="Where the request names no end. beyond: paging ends with the page that has the first record past "
        "the window; records must come in the order of time. never: everything is read. Records past the window are "
        "skipped.",
    )
    after_inclusive: bool = Field(True, description="Whether a record at the start belongs to the answer.")
    before_inclusive: bool = Field(True, description="Whether a record at the end belongs to the answer.")
    written: AnyWritten = Field(
        Written.ISO,
        description="A number since 1970 (`seconds` of a table in Python: since its epoch), ISO 8601 with 0, 3 or 6 "
        "digits of a second's fraction, a date, or a strftime text such as %Y%m%dT%H%M%SZ, in UTC.",
    )
    suffix: Literal["Z", "+00:00", ""] = Field("Z", description="End of an ISO 8601 time: its zone, or nothing.")
    exact: bool = Field(
        True,
        description="False: each bound may be inclusive or exclusive; records outside a window are skipped, and those "
        "more than a day after it rejected.",
    )
    longest_days: float | None = Field(
        None, gt=0, le=36_600, description="Longest range the API takes; longer ones are split."
    )

    def text(self, schema: TableSchema) -> InstantText:
        """How the parameters write an instant."""
        if not isinstance(self.written, Written):
            return StrftimeTime.of([StrftimeText.parse(self.written)])
        if self.written is Written.DATE:
            return IsoDate()
        if self.written in DIGITS:
            return IsoTime(DIGITS[self.written], self.suffix)
        unit = PER_SECOND[TimeForm(self.written)]
        return EpochTime(unit, schema.epoch) if self.written is Written.SECONDS else EpochTime(unit)

    @property
    def longest(self) -> timedelta | None:
        """The longest range that the API takes."""
        return timedelta(days=self.longest_days) if self.longest_days else None

    def pieces(self, window: Window, schema: TableSchema, templates: RangeTemplates = NO_TEMPLATES) -> Iterator[Window]:
        """The ranges in which the window is requested, in whole numbers of steps.

        Raises:
            ConfigurationError: the longest range is shorter than a step.
        """
        if self.longest is None:
            return window.pieces(None)
        seconds = schema.column(schema.time).type is ColumnType.INT64
        own = self._step(schema, templates)
        step = max(own, timedelta(seconds=1)) if seconds else own
        longest = self.longest // step * step
        if not longest:
            raise ConfigurationError(f"the longest range ({self.longest}) is shorter than a step of the time ({step}).")
        wider = self._early and not self._by_seconds(schema, templates)
        return window.pieces(longest - step if wider and longest > step else longest)

    def bounds(self, window: Window, schema: TableSchema, templates: RangeTemplates = NO_TEMPLATES) -> Bounds:
        """The instants that ask for all of `window`, and for as little else as possible.

        Raises:
            ConfigurationError: the strftime texts of the request would round them.
        """
        step = self._step(schema, templates)
        bounds = Bounds(
            window.start - step if self._early else window.start,
            window.end - step if self._by_seconds(schema, templates) else window.end,
            self.text(schema),
            numeric=self.written in PER_SECOND,
        )
        for form, instant in ((templates.start, bounds.start), (templates.end, bounds.end)):
            if form:
                form.require_exact(instant)
        return bounds

    def render(self, window: Window, schema: TableSchema, templates: RangeTemplates = NO_TEMPLATES) -> dict[str, str]:
        """The query parameters with the bounds.

        Raises:
            ConfigurationError: the parameters cannot write the window's bounds.
        """
        text, bounds = self.text(schema), self.bounds(window, schema, templates)
        asked = {self.after: bounds.start, self.before: bounds.end}
        rendered = {name: text.render(instant) for name, instant in asked.items() if name is not None}
        # guard: no window without its upper bound
        if self.before is not None and rendered[self.before] is None:  # the API would give all its records
            raise ConfigurationError(
                f"the window {window.key} ends before the first instant that {self.before} can express."
            )
        return {name: value for name, value in sorted(rendered.items()) if value is not None}

    def beyond(self, schema: TableSchema, templates: RangeTemplates = NO_TEMPLATES) -> Beyond:
        """How far outside a range its request reaches."""
        if not self.exact:
            # However an API reads the range's end, and in whatever time zone, it gives no record a day later. Some give
            # earlier ones: those that were still open, or that changed since.
            return Beyond(None, None if self.stop else self._step(schema, templates) + timedelta(days=1))
        if self.stop:
            return Beyond(self._step(schema, templates) if self._early else timedelta(0))
        if self._whole_seconds(schema, templates):
            return NOWHERE
        none, step = timedelta(0), self._step(schema, templates)
        # An API that drops the digits of a record's time that its parameters do not have gives a step more. One
        # that compares whole seconds gives a second more, in every form.
        after = max(step, timedelta(seconds=1))
        return Beyond(step if self._early else none, after if self.before_inclusive else none)

    def _step(self, schema: TableSchema, templates: RangeTemplates) -> timedelta:
        """The coarsest step of all forms in which the request writes a bound."""
        own = self.text(schema).resolution if self.after or self.before or templates.plain else timedelta(0)
        return max(own, templates.resolution)

    @property
    def _early(self) -> bool:
        """Whether the request starts one step before the range."""
        return not (self.after_inclusive and self.exact)

    def _whole_seconds(self, schema: TableSchema, templates: RangeTemplates) -> bool:
        step = self._step(schema, templates)
        return schema.column(schema.time).type is ColumnType.INT64 and step <= timedelta(seconds=1)

    def _by_seconds(self, schema: TableSchema, templates: RangeTemplates) -> bool:
        """Whether the last instant of a range is known, and the request may end with it."""
        # guard: an inclusive end is asked for as itself
        return self.before_inclusive and self.exact and self._whole_seconds(schema, templates)


OUR_OWN = TimeParameters(after="scanned_after", before="scanned_before", after_inclusive=False, written=Written.SECONDS)
