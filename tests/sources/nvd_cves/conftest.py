"""An empty database of CVEs on every engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flows_platform.sources.nvd_cves.queries import CveQueries
from flows_platform.sources.nvd_cves.store import CveStore
from flows_platform.sql import engines
from tests.sources.nvd_cves.postgres import Postgres, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/database/cves.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.emptied()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = engines.writer(url)
    yield made
    made.dispose()


@pytest.fixture
def store(engine: Engine) -> CveStore:
    made = CveStore(engine)
    made.create_tables()
    return made


@pytest.fixture
def queries(url: str, store: CveStore) -> Iterator[CveQueries]:
    """What readers see of `store`."""
    reader = engines.reader(url)
    yield CveQueries(reader)
    reader.dispose()
