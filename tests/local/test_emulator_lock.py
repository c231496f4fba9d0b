"""What DuckDB itself refuses once it is locked, in its own SQL, most of which the emulator's dialect does not have."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from flows_platform.local.emulator_lock import _locked

REFUSED = [
    "FROM read_text('{folder}/secret.csv')",
    "FROM '{folder}/secret.csv'",
    "FROM st_read('/vsigzip/{folder}/secret.csv')",
    "COPY (SELECT 1) TO '{folder}/written.csv'",
    "COPY (SELECT 1 AS a) TO '{folder}/written.json' WITH (FORMAT GDAL, DRIVER 'GeoJSON')",
    "ATTACH '{folder}/written.db'",
    "ATTACH 'ducklake:{folder}/written.ducklake'",
    "EXPORT DATABASE '{folder}/written'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE SECRET (TYPE s3)",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET lock_configuration = false",
    "SET temp_directory = '{folder}'",
    "SET memory_limit = '1GB'",
    "RESET ALL",
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("data")
    with _locked(duckdb.connect, folder)() as connection:
        yield connection


@pytest.mark.parametrize("sql", REFUSED)
def test_what_reaches_outside_or_unlocks_is_refused(
    locked: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str
) -> None:
    (tmp_path / "secret.csv").write_text("canary\n")
    with pytest.raises(duckdb.Error):
        locked.execute(sql.format(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_variable_of_this_process_is_no_table(locked: duckdb.DuckDBPyConnection) -> None:
    canary = duckdb.connect().sql("SELECT 1 AS a").arrow()
    with pytest.raises(duckdb.Error, match="canary"):
        locked.execute("FROM canary")
    assert canary is not None


def test_what_is_inside_works(locked: duckdb.DuckDBPyConnection) -> None:
    (name,) = locked.execute("SELECT current_setting('temp_directory')").fetchone() or ("",)
    folder = Path(name).parent
    locked.execute(f"COPY (SELECT 7 AS a) TO '{folder}/inside.csv'")
    assert locked.execute(f"FROM '{folder}/inside.csv'").fetchall() == [(7,)]
