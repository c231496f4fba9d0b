"""Several first users of a database at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.sql.write_ahead import write_ahead

USERS = 4
ROUNDS = 25  # without the lock, about a quarter of the users are refused


def test_first_users_at_once_are_all_served(tmp_path: Path) -> None:
    barrier = Barrier(USERS)

    def use(path: Path) -> str:
        barrier.wait()
        write_ahead(path, 60)
        with closing(sqlite3.connect(path)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    with ThreadPoolExecutor(USERS) as pool:
        for number in range(ROUNDS):
            assert list(pool.map(use, [tmp_path / f"{number}.db"] * USERS)) == ["wal"] * USERS


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=r"notes\.db cannot be used: file is not a database"):
        write_ahead(path, 1)


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"db cannot be used: unable to open"):
        write_ahead(tmp_path / "none" / "x.db", 1)
