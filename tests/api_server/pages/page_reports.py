"""Reports of every chart and kind of parameter, over rows that a test gives, and the server of their pages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from api_server.config import ServerConfig
from api_server.reports.feature import ReportsFeature
from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.errors import PlatformError
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import ReportRunner, Rows
from flows_platform.reports.service import ReportService
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from tests.api_server.conftest import Server, running

NEWEST = datetime(2024, 3, 2, tzinfo=UTC)
RANGE = [
    {"name": "start", "type": "timestamp", "default": "{{ newest - 1d }}", "description": "The first time."},
    {
        "name": "end",
        "type": "timestamp",
        "default": "{{ newest }}",
        "inclusive": False,
        "description": "The end of the range.",
    },
]
TOP = {"name": "top", "type": "int64", "minimum": 1, "maximum": 1000, "default": 10, "description": "Rows, at most."}
WHERE = "at >= @start AND at < @end"


def _report(name: str, description: str, **keys: Any) -> ReportDeclaration:
    return ReportDeclaration.model_validate({"name": name, "description": description, "over": ["flows"], **keys})


BUSIEST = _report(
    "busiest_computers",
    "Computers with the most bytes in a range.",
    parameters=[*RANGE, TOP],
    longest={"parameters": ["start", "end"], "days": 92},
    sql=f"SELECT computer, bytes, flows FROM flows\nWHERE {WHERE}\nORDER BY bytes DESC, computer LIMIT @top",
    columns=[
        {"name": "computer", "type": "string", "description": "The computer's name."},
        {"name": "bytes", "type": "numeric", "description": "Sum of bytes, sent and received."},
        {"name": "flows", "type": "int64"},
    ],
    chart={"kind": "bar", "x": "computer", "y": "bytes"},
)
BY_HOUR = _report(
    "traffic_by_hour",
    "Bytes of all computers by hour.",
    parameters=RANGE,
    longest={"parameters": ["start", "end"], "days": 92},
    sql=f"SELECT hour, bytes FROM flows WHERE {WHERE} ORDER BY hour",
    columns=[{"name": "hour", "type": "timestamp"}, {"name": "bytes", "type": "int64"}],
    chart={"kind": "line", "x": "hour", "y": "bytes"},
)
BY_MONTH = _report(
    "sales_by_month",
    "Sales of a clerk by month.",
    parameters=[
        {"name": "clerk", "type": "string", "longest": 20, "description": "The clerk's number."},
        {"name": "year", "type": "int64", "minimum": 1992, "maximum": 1998, "default": 1995},
    ],
    sql="SELECT month, total FROM flows WHERE clerk = @clerk AND year = @year ORDER BY month LIMIT 12",
    columns=[{"name": "month", "type": "date"}, {"name": "total", "type": "numeric", "decimals": 2}],
    chart={"kind": "bar", "x": "month", "y": "total"},
)
EVERYTHING = _report(
    "every_kind",
    "A parameter of <every> kind.",
    parameters=[
        {"name": "at", "type": "timestamp", "default": "2024-01-01", "minimum": "2000-01-01"},
        {"name": "day", "type": "date", "default": "2024-01-01", "maximum": "2030-12-31"},
        {"name": "customer", "type": "string", "default": "ann", "longest": 40},
        {"name": "by", "type": "choice", "of": ["bytes", "packets"], "default": "bytes"},
        {"name": "kinds", "type": "choice", "of": ["a", "b", "c"], "many": True, "default": ["a", "c"]},
        {"name": "ids", "type": "int64", "many": True, "default": [1, 2], "most": 5},
        {"name": "least", "type": "numeric", "default": 0},
        {"name": "share", "type": "float64", "default": 0.5, "minimum": 0, "maximum": 1},
        {"name": "all", "type": "bool", "default": False},
        {"name": "top", "type": "int64", "minimum": 1, "maximum": 100, "default": 10},
    ],
    sql="SELECT name, ratio, good, at FROM flows WHERE at > @at AND day = @day AND customer = @customer AND w = @by "
    "AND kind IN UNNEST(@kinds) AND id IN UNNEST(@ids) AND total > @least AND share > @share AND @all "
    "ORDER BY name LIMIT @top",
    columns=[
        {"name": "name", "type": "string", "description": "A <name>."},
        {"name": "ratio", "type": "float64"},
        {"name": "good", "type": "bool"},
        {"name": "at", "type": "timestamp"},
    ],
)
TOP10 = _report(
    "top10_customers",
    "The ten customers with the highest sum of orders.",
    parameters=[
        {"name": "start_range", "type": "date", "default": "1995-01-01"},
        {"name": "end_range", "type": "date", "default": "1995-03-31"},
    ],
    longest={"parameters": ["start_range", "end_range"], "days": 3650},
    sql="SELECT o_custkey, total FROM flows WHERE at >= @start_range AND at < @end_range ORDER BY total LIMIT 10",
    columns=[{"name": "o_custkey", "type": "int64"}, {"name": "total", "type": "numeric", "decimals": 2}],
    paths=["/connector/customers/top10", "/snowpark/customers/top10"],
    uses={"original": True},
)
SALES = _report(
    "clerk_yearly_sales",
    "The sales of a clerk in a year, by month.",
    parameters=[
        {"name": "clerk", "type": "string", "pattern": "[0-9]+"},
        {"name": "year", "type": "int64", "minimum": 1},
    ],
    sql="SELECT o_clerk, month FROM flows WHERE o_clerk = @clerk AND year = @year ORDER BY month LIMIT 12",
    columns=[{"name": "o_clerk", "type": "string"}, {"name": "month", "type": "int64"}],
    paths=["/connector/clerk/{clerk}/yearly_sales/{year}", "/snowpark/clerk/{clerk}/yearly_sales/{year}"],
    uses={"original": True},
)
REPORTS = [BUSIEST, BY_HOUR, BY_MONTH, EVERYTHING, TOP10, SALES]
BYTES = (9_412_553_121_004, 6_001_220_918_112, 5_820_113_004_551, 1_210_998_031_222, 904_551_120_874, 77_120_553_009)
ROWS: Mapping[str, Sequence[Sequence[Any]]] = {
    BUSIEST.name: [
        [f"C{number * 37 % 1000}", Decimal(count), count // 40_000_000] for number, count in enumerate(BYTES, 5)
    ],
    BY_HOUR.name: [
        [NEWEST - timedelta(hours=24 - hour), 400_000_000 + (hour * hour * 7_919_113) % 900_000_000]
        for hour in range(24)
    ],
    BY_MONTH.name: [
        [datetime(1995, month, 1, tzinfo=UTC).date(), Decimal(month * 7919 % 50) * 1000 + Decimal("0.5")]
        for month in (1, 2, 3, 5, 6, 7, 9, 10, 11, 12)
    ],
    EVERYTHING.name: [["one", 0.5, True, NEWEST], [None, None, None, None]],
    TOP10.name: [[1246, Decimal("398177.6")], [892, Decimal("394131.3")]],
    SALES.name: [["Clerk#000000002", 1], ["Clerk#000000002", 3]],
}


@dataclass
class Warehouse(ReportRunner):
    """Answers with the rows of a report, or with an error; keeps the values that it is asked."""

    rows: dict[str, Sequence[Sequence[Any]]] = field(default_factory=lambda: dict(ROWS))
    error: PlatformError | None = None
    asked: list[Mapping[str, Value]] = field(default_factory=list)

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], _label: str = "", /) -> Rows:
        self.asked.append(values)
        if self.error:
            raise self.error
        schema = arrow_schema(report.schema_of_rows)
        columns = zip(*self.rows[report.name], strict=True) if self.rows[report.name] else ([] for _ in schema)
        return Rows(pa.table([list(column) for column in columns], schema=schema), 41.5)


@contextmanager
def serving(
    folder: Path,
    warehouse: Warehouse,
    reports: Sequence[ReportDeclaration] = REPORTS,
    faults: Sequence[str] = (),
    a_minute: int = 0,
    **settings: Any,
) -> Iterator[Server]:
    """A server of the reports, which knows `faults` of others and answers a token at most so often `a_minute`."""
    versions = Versions(folder / "versions.json")
    versions.committed("flows", NEWEST)
    service = ReportService(reports, warehouse, VersionsFile(versions), AnswerCache(folder / "answers"))
    with running(ServerConfig(**settings), [ReportsFeature(service, faults, a_minute=a_minute)]) as server:
        yield server
