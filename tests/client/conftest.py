"""A server of reports that asks for tokens."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api_server.http.tokens import create_token
from tests.api_server.conftest import Server
from tests.api_server.customer_reports import Warehouse, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the server's tokens."""
    return tmp_path / "tokens.json"


@pytest.fixture
def token(file: Path) -> str:
    return create_token(file, "long", ["reports:read"], NOW)


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def server(tmp_path: Path, file: Path, token: str, warehouse: Warehouse) -> Iterator[Server]:
    with serving(tmp_path, warehouse, tokens=file) as server:
        yield server
