"""Database URLs: which are taken, and that no password leaves with an error."""

import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from flows_platform.domain.errors import ConfigurationError, PlatformError, StorageError, WarehouseUnavailable
from flows_platform.sources.nvd_cves.filters import CveFilter
from flows_platform.sources.nvd_cves.queries import CveQueries
from flows_platform.sources.nvd_cves.store import CveStore
from flows_platform.sql import engines
from flows_platform.sql.engines import plain_errors
from tests.sources.nvd_cves.postgres import PASSWORD, Postgres


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_gets_its_driver(scheme: str) -> None:
    assert engines.database_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cves.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///cves.db?mode=rw",
        "mysql://u:canary@h/d",
        "postgresql+asyncpg://u:canary@h/d",
        "postgresql://u:p@canary@h/d",
        "postgresql://u:p@canary@h d/x",
        "postgresql://u:canary@h:port/d",
    ],
)
def test_other_urls_are_refused_without_showing_them(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite or PostgreSQL") as caught:
        engines.writer(url)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_password_leaves_with_no_error(postgres: Postgres) -> None:
    right, wrong = postgres.url("absent"), postgres.url(password="canary-wrong")  # noqa: S106  a canary
    nobody = "postgresql://u:canary-nobody@127.0.0.1:9/d"
    for url, part in ((right, "absent"), (wrong, "authentication failed"), (nobody, "refused")):
        for engine in (engines.writer(url), engines.reader(url)):
            with pytest.raises(PlatformError, match=part) as caught:
                CveStore(engine).total()
            shown = "".join(traceback.format_exception(caught.value)) + repr(engine)
            assert "canary" not in shown
            assert PASSWORD not in shown
    assert isinstance(caught.value, WarehouseUnavailable)


def test_a_reader_makes_no_file_and_writes_nothing(url: str, store: CveStore, tmp_path: Path) -> None:
    reader = engines.reader(url)
    with pytest.raises(StorageError, match=r"read-?only"), plain_errors(reader), reader.begin() as connection:
        connection.execute(text("DELETE FROM cves"))
    reader.dispose()
    absent = engines.reader(f"sqlite:///{tmp_path}/absent/cves.db")
    with pytest.raises(StorageError, match="absent"):
        CveQueries(absent).page(CveFilter(), None, 1)
    assert not (tmp_path / "absent").exists()


def test_a_path_with_odd_characters_is_one_path(tmp_path: Path) -> None:
    file = tmp_path / "a b%20c#d" / "cves.db"
    url = f"sqlite:///{quote(str(file))}"
    engine, reader = engines.writer(url), engines.reader(url)
    CveStore(engine).create_tables()
    assert CveQueries(reader).page(CveFilter(), None, 1).rows == []
    assert file.exists()
    for opened in (engine, reader):
        opened.dispose()
