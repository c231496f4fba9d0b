"""The keys of a report's YAML. The same objects are what the server runs.

`top` and `series` are short forms of a statement with its parameters and columns; `expanded` writes them out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from flows_platform.declared import Declared, Fault, KeyFault, KeyPath, all_refused, did_you_mean
from flows_platform.domain.decimals import DECIMALS
from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable, fault_of_name
from flows_platform.reports.parameters import NAME, BadParameter, ReportParameter
from flows_platform.reports.shorthand import Series, Top, WrittenOut
from flows_platform.reports.spans import Reads, Span, span_of
from flows_platform.reports.values import ParameterType, Value

if TYPE_CHECKING:
    from flows_platform.reports.statement import Gate

Count = Annotated[int, Field(ge=1, le=1_000_000)]
TIMES = {ParameterType.DATE, ParameterType.TIMESTAMP}
PATH = r"^(/([A-Za-z0-9._~-]+|\{[a-z][a-z0-9_]*\}))+$"
# The first segments of the server's own paths.
OWN_PATHS = frozenset({"api", "docs", "healthz", "oauth", "openapi.json", "reports", "static", "test"})


class ReversedRange(BadParameter):
    """The range of a request ends before it starts."""


class ReportColumn(Declared):
    """A column of the answer, in the order of the statement's result."""

    name: str = Field(description="The column's name in the statement's result.")
    type: ColumnType = Field(description="Its type. A dry run of the statement must give the same type.")
    description: str = Field("", description="What the column means, for the page and the API's description.")
    decimals: int | None = Field(
        None,
        ge=0,
        le=DECIMALS,
        description="Minimum number of digits after the decimal point of a numeric column, filled up with zeros.",
    )


# With `items`, since Dagster makes a sample of every list in a component's schema from them.
TwoNames = Annotated[
    tuple[str, str],
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
]


class Longest(Declared):
    """The longest range of time that a request may ask for."""

    parameters: TwoNames = Field(description="The two parameters that are the start and the end of the range.")
    days: int = Field(ge=1, le=36_600, description="Length of the longest range, in days.")
    reads: Reads = Field(
        Reads.ALL,
        description="Which rows the statement reads, by their time. Derived from the statement when the report is "
        "loaded; a value given here is ignored.",
    )


class ReportChart(Declared):
    """The chart on the report's page."""

    kind: Literal["bar", "line"] = Field("bar", description="Kind of chart: bar or line.")
    x: str = Field(description="The column of the x axis.")
    y: str = Field(description="The column whose values are drawn.")


class ReportCache(Declared):
    """How long a client may use an answer without asking again."""

    seconds: int = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds for which a client may use an answer without asking. Then an unchanged one is a 304.",
    )
    prewarm: bool = Field(
        False,
        description="Whether Dagster computes the answer for the default values after windows of the tables were "
        "published, so that the first request finds it in the cache.",
    )


class ReportLimits(Declared):
    """What a request may cost."""

    rows: Count = Field(
        100_000, description="Most rows of an answer. An answer with more rows is an error; it is never cut."
    )
    bytes_billed: int = Field(1_000_000_000, ge=1, description="Most bytes that BigQuery may bill for one query.")
    seconds: int = Field(30, ge=1, le=600, description="Seconds after which a query is cancelled.")


class ReportUses(Declared):
    """How a report answers at its further paths."""

    original: bool = Field(
        False,
        description="Whether `paths` answer like the guide's own server: a bare array, names of columns in capitals, "
        "numeric values as strings, defaults also for empty values, dates such as 1995-2-1, and no rows for a "
        "reversed range.",
    )


class ReportDeclaration(Declared):
    """A report: a typed, read-only query over tables of the warehouse, served over HTTP."""

    name: str = Field(pattern=NAME, description="Name of the report, which is part of its URL.")
    description: str = Field(min_length=1, description="What the report shows, in one sentence.")
    over: tuple[str, ...] = Field((), description="The tables that the statement may read.")
    parameters: tuple[ReportParameter, ...] = Field((), description="The parameters that a request may give.")
    longest: Longest | None = Field(None, description="The longest range of a request.")
    sql: str | None = Field(None, description="The statement: one SELECT or WITH in BigQuery's SQL.")
    top: Top | None = Field(
        None, description="Instead of `sql`: the values of a column with the highest sums in a range of time."
    )
    series: Series | None = Field(None, description="Instead of `sql`: a sum for every hour, day, month or year.")
    columns: tuple[ReportColumn, ...] = Field((), description="The columns of the answer, in order.")
    chart: ReportChart | None = Field(None, description="The chart of the report's page.")
    cache: ReportCache = Field(ReportCache(), description="How long clients may use an answer without asking again.")
    limits: ReportLimits = Field(ReportLimits(), description="What a request may cost.")
    paths: tuple[Annotated[str, StringConstraints(pattern=PATH)], ...] = Field(
        (),
        description="Further paths of the report, such as /connector/clerk/{clerk}; {NAME} is a parameter's value.",
    )
    uses: ReportUses = Field(ReportUses(), description="How the report answers at `paths`.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if faults := list(self._faults()):
            raise all_refused(faults)
        return self

    @property
    def short(self) -> Top | Series | None:
        """The short form, or None for a report with `sql`."""
        return self.top or self.series

    def _faults(self) -> Iterator[Fault]:
        # guard: a token of one report is not one of all
        if self.name == "read":
            yield Fault(("name",), "`reports:read` is the scope of all reports; choose another name")
        forms = [key for key in ("sql", "top", "series") if getattr(self, key) is not None]
        if len(forms) != 1:
            yield Fault(forms[1:2], "exactly one of `sql`, `top` and `series` is needed")  # type: ignore[arg-type]
            return
        if self.short:
            for key in ("over", "parameters", "longest", "columns"):
                if key in self.model_fields_set:
                    yield Fault((key,), f"`{forms[0]}` has its own; leave it out, or write `sql`")
            return
        for key in ("over", "columns"):
            if not getattr(self, key):
                yield Fault((key,) if key in self.model_fields_set else (), f"`{key}` is missing: `sql` needs it")
        yield from _twice("parameters", [parameter.name for parameter in self.parameters])
        yield from _column_faults(self.columns)
        yield from self._range_faults()
        yield from self._chart_faults()
        yield from self._path_faults()
        if self.over and (faults := self._gate.faults(self.sql or "")):
            yield Fault(("sql",), "; ".join(faults))

    @property
    def _gate(self) -> "Gate":
        # Importing the SQL parser takes 100 ms, and a process that only loads tables does not need it.
        from flows_platform.reports.statement import Gate  # noqa: PLC0415

        bounded = self.longest is not None
        return Gate(self.over, {one.name: one for one in self.parameters}, self.limits.rows, bounded=bounded)

    def _range_faults(self) -> Iterator[Fault]:
        if self.longest is None:
            return
        types = {one.name: None if one.many else one.type for one in self.parameters}
        for index, name in enumerate(self.longest.parameters):
            if types.get(name) not in TIMES:
                near = did_you_mean(name, types) or ""
                yield Fault(("longest", "parameters", index), f"{name!r} is not a parameter with a date or time{near}")
        if len({types.get(name) for name in self.longest.parameters}) > 1:
            yield Fault(("longest", "parameters"), "both must have the same type")

    def _chart_faults(self) -> Iterator[Fault]:
        names = [column.name for column in self.columns]
        for key in ("x", "y") if self.chart else ():
            if (name := getattr(self.chart, key)) not in names:
                yield Fault(("chart", key), f"{name!r} is not one of the columns ({', '.join(names)})")

    def _path_faults(self) -> Iterator[Fault]:
        single = {one.name for one in self.parameters if not one.many}
        for index, path in enumerate(self.paths):
            names = names_in(path)
            first = path.split("/")[1]
            # guard: paths of a report hide no path of the server
            if first.startswith("{") or first in OWN_PATHS:
                yield Fault(("paths", index), f"it must not begin with /{first}, where the server has paths of its own")
            if unknown := [name for name in names if name not in single]:
                near = did_you_mean(unknown[0], single) or ""
                yield Fault(("paths", index), f"{unknown[0]!r} is not a parameter with a single value{near}")
            if len(set(names)) < len(names):
                yield Fault(("paths", index), "a parameter comes twice")

    def expanded(self, tables: Mapping[str, WarehouseTable]) -> "ReportDeclaration":
        """The report with its short form written out as a statement over these tables.

        Raises:
            KeyFault: a table or a column does not exist.
        """
        named: dict[KeyPath, str] = {("over", index): name for index, name in enumerate(self.over)}
        if self.short:
            named = {(self._form, "of"): self.short.of}
        for at, name in named.items():
            if name not in tables:
                raise KeyFault(at, f"there is no table {name!r}{did_you_mean(name, tables) or '.'}")
        if self.short is None:
            return self.with_reads(tables)
        written: WrittenOut = self.short.written_out(tables[self.short.of], self._form)
        rest = self.model_dump(exclude={"top", "series"}, exclude_unset=True)
        return ReportDeclaration.model_validate({**rest, **written}).with_reads(tables)

    def with_reads(self, tables: Mapping[str, WarehouseTable]) -> "ReportDeclaration":
        """The report with `longest.reads` derived from its statement."""
        if self.longest is None:
            return self
        from flows_platform.reports.statement_range import reads_of  # noqa: PLC0415 - as above

        kind = next(one.type for one in self.parameters if one.name == self.longest.parameters[0])
        instants = {name: tables[name].instant.name for name in self.over}
        reads = reads_of(self.sql or "", instants, self.longest.parameters, kind)
        return self.model_copy(update={"longest": self.longest.model_copy(update={"reads": reads})})

    def span(self, values: Mapping[str, Value]) -> Span | None:
        """The range of time whose rows the answer depends on; None if the answer may depend on any row."""
        if self.longest is None:
            return None
        first, last = self.longest.parameters
        return span_of(self.longest.reads, values[first], values[last])

    @property
    def _form(self) -> str:
        return "top" if self.top else "series"

    @cached_property
    def digest(self) -> str:
        """A digest of the whole declaration."""
        return sha256(self.model_dump_json().encode()).hexdigest()

    @cached_property
    def schema_of_rows(self) -> TableSchema:
        """The columns as the schema of a table whose values may all be NULL."""
        columns = tuple(Column(one.name, one.type, one.description, nullable=True) for one in self.columns)
        first = self.columns[0].name
        return TableSchema(self.name, self.description, columns, key=first, time=first)

    def check_range(self, values: Mapping[str, Value]) -> None:
        """Refuse a range that is reversed or too long.

        Raises:
            ReversedRange: the range ends before it starts.
            BadParameter: the range is too long.
        """
        if self.longest is None:
            return
        first, last = self.longest.parameters
        start, end = values[first], values[last]
        assert isinstance(start, date | datetime)  # noqa: S101 - the declaration was checked
        assert isinstance(end, date | datetime)  # noqa: S101 - as above
        span = end - start
        allowed = f"a range of at most {self.longest.days} days, with {first} before {last}"
        # guard: ranges of a report have a length
        if span < timedelta():
            raise ReversedRange(last, f"{last} is before {first}.", allowed)
        if span > timedelta(days=self.longest.days):
            days = -(-span // timedelta(days=1))
            raise BadParameter(last, f"the range from {first} to {last} is {days:,} days long.", allowed)


def names_in(path: str) -> list[str]:
    """The names of the parameters in a path."""
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]


def _twice(key: str, names: Sequence[str]) -> Iterator[Fault]:
    lower = [name.lower() for name in names]
    for index, name in enumerate(lower):
        if name in lower[:index]:
            yield Fault((key, index, "name"), f"{names[index]!r} is declared twice")


def _column_faults(columns: Sequence[ReportColumn]) -> Iterator[Fault]:
    yield from _twice("columns", [column.name for column in columns])
    for index, column in enumerate(columns):
        if why := fault_of_name(column.name):
            yield Fault(("columns", index, "name"), why)
        if column.type is ColumnType.JSON:
            yield Fault(("columns", index, "type"), "a report has no json columns: give a string")
        if column.decimals is not None and column.type is not ColumnType.NUMERIC:
            yield Fault(("columns", index, "decimals"), f"a column of type {column.type} has no `decimals`")
