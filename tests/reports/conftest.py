"""A table of orders in a dataset of its own on the shared emulator, and a report over it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable
from flows_platform.local.emulator import Emulator
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.warehouse.schema import target_table
from flows_platform.warehouse.warehouse import emulator_client

ORDERS = WarehouseTable(
    TableSchema(
        "orders",
        "Orders.",
        (
            Column("id", ColumnType.INT64, "Id."),
            Column("at", ColumnType.TIMESTAMP, "Time."),
            Column("customer", ColumnType.STRING, "Customer.", nullable=True),
            Column("price", ColumnType.NUMERIC, "Price."),
        ),
        key="id",
        time="at",
    ),
    clustering=(),
)
# id, time, customer, price
ROWS = [
    (1, "2024-01-01T00:00:00", "ann", "10.50"),
    (2, "2024-01-01T01:30:00", "bob", "99999999999999999999.000000001"),
    (3, "2024-01-01T02:00:00", "ann", "0.25"),
    (4, "2024-02-29T23:59:59", "O'Brien; DROP TABLE orders --", "7"),
    (5, "2024-03-01T00:00:00", None, "1"),
]
YAML: dict[str, Any] = {
    "name": "top_customers",
    "description": "Customers with the highest sums.",
    "over": ["orders"],
    "parameters": [
        {"name": "start", "type": "timestamp", "default": "{{ newest - 100d }}"},
        {"name": "end", "type": "timestamp", "default": "{{ newest }}", "inclusive": False},
        {"name": "customers", "type": "string", "many": True, "default": ["ann", "bob"]},
        {"name": "least", "type": "numeric", "default": 0, "minimum": 0},
        {"name": "top", "type": "int64", "minimum": 1, "maximum": 100, "default": 10},
    ],
    "longest": {"parameters": ["start", "end"], "days": 366},
    "sql": "SELECT customer, SUM(price) AS total, COUNT(*) AS orders FROM orders\n"
    "WHERE at >= @start AND at < @end AND customer IN UNNEST(@customers) AND price >= @least\n"
    "GROUP BY customer ORDER BY total DESC, customer LIMIT @top",
    "columns": [
        {"name": "customer", "type": "string"},
        {"name": "total", "type": "numeric"},
        {"name": "orders", "type": "int64"},
    ],
}
NEWEST = datetime(2024, 3, 2, tzinfo=UTC)


def changed(**changes: object) -> dict[str, Any]:
    """The declaration with other keys."""
    return {**deepcopy(YAML), **changes}


@pytest.fixture
def report() -> ReportDeclaration:
    return ReportDeclaration.model_validate(YAML)


@pytest.fixture
def client(emulator: Emulator) -> Iterator[bigquery.Client]:
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
        yield client


@pytest.fixture
def dataset(client: bigquery.Client) -> str:
    name = f"reports_{uuid4().hex}"
    reference = client.create_dataset(name).reference
    client.create_table(target_table(reference.table("orders"), ORDERS))
    values = ", ".join(
        f"({number}, TIMESTAMP '{at}+00:00', {_literal(customer)}, CAST('{price}' AS NUMERIC))"
        for number, at, customer, price in ROWS
    )
    client.query_and_wait(f"INSERT INTO {name}.orders (id, at, customer, price) VALUES {values}")
    return name


def _literal(text: str | None) -> str:
    return "NULL" if text is None else f'"{text}"'


@pytest.fixture
def engine(client: bigquery.Client, dataset: str) -> ReportEngine:
    return ReportEngine(client, dataset, "US")


type Query = Callable[..., list[dict[str, Any]]]
EXACT = Decimal("99999999999999999999.000000001")
