"""Two reports, one of which has the parameter `customer`, over a warehouse that answers with the values it is asked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
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

from .conftest import Server, running

NEWEST = datetime(2024, 3, 2, tzinfo=UTC)
LIST = "/api/v1/reports"


def _report(name: str, *parameters: dict[str, Any], sql: str, paths: Sequence[str] = ()) -> ReportDeclaration:
    columns = [{"name": "customer", "type": "string"}, {"name": "total", "type": "numeric"}]
    return ReportDeclaration.model_validate(
        {
            "name": name,
            "description": f"The report {name}.",
            "over": ["orders"],
            "parameters": list(parameters),
            "sql": sql,
            "columns": columns,
            "chart": {"kind": "bar", "x": "customer", "y": "total"},
            "paths": paths,
            "uses": {"original": bool(paths)},
        }
    )


REPORTS = [
    _report(
        "of_customer",
        {"name": "customer", "type": "string", "default": "ann"},
        {"name": "kinds", "type": "string", "many": True, "default": ["a"]},
        {"name": "least", "type": "numeric", "default": 0},
        {"name": "top", "type": "int64", "minimum": 1, "maximum": 100, "default": 10},
        sql="SELECT customer, total FROM orders WHERE customer = @customer AND kind IN UNNEST(@kinds) "
        "AND total >= @least ORDER BY total LIMIT @top",
        paths=["/connector/customers/{customer}"],
    ),
    _report(
        "of_all",
        {"name": "top", "type": "int64", "minimum": 1, "maximum": 100, "default": 10},
        sql="SELECT customer, total FROM orders ORDER BY total, customer LIMIT @top",
    ),
]


@dataclass
class Warehouse(ReportRunner):
    """Answers every query with one row, and keeps the values that it is asked."""

    asked: list[Mapping[str, Value]] = field(default_factory=list)
    error: PlatformError | None = None

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], _label: str = "", /) -> Rows:
        self.asked.append(values)
        if self.error:
            raise self.error
        row = [[values.get("customer", "all")], [Decimal("1.500000000")]]
        return Rows(pa.table(row, schema=arrow_schema(report.schema_of_rows)), 1.0)


def service_of(folder: Path, warehouse: Warehouse) -> ReportService:
    """The two reports, with data."""
    versions = Versions(folder / "versions.json")
    versions.committed("orders", NEWEST)
    return ReportService(REPORTS, warehouse, VersionsFile(versions), AnswerCache(folder / "answers"))


@contextmanager
def serving(folder: Path, warehouse: Warehouse, **settings: Any) -> Iterator[Server]:
    """A server of the two reports; `settings` are those of `ServerConfig`."""
    with running(ServerConfig(**settings), [ReportsFeature(service_of(folder, warehouse))]) as server:
        yield server
