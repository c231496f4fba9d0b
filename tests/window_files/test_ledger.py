"""Entries are on disk, in order, and never change; a ledger that cannot be used is a StorageError."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.window_files.ledger import Committed, Fetched, Recovered, Withheld, ledger_of

FETCHED = Fetched("w", "2014-01-01T00:00:01", "http://x/", "arrow", "L2 count", 9, 2, 1, 0, "sha")
RECOVERED = Recovered("w", "2014-01-01T00:00:02", 1, 0, 3, "sha2")
COMMITTED = Committed("w", "2014-01-01T00:00:03", "run", "sha2", "load", "merge", 3, 0)


def test_entries_come_back_in_order_from_another_reader(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert ledger_of(folder).history("w") == []
    for entry in (COMMITTED, FETCHED, RECOVERED, COMMITTED):
        ledger_of(folder).record(entry)
    assert ledger_of(folder).history("w") == [FETCHED, RECOVERED, COMMITTED, COMMITTED]
    assert ledger_of(folder).history("other") == []


def test_a_file_that_is_not_a_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(StorageError, match=r"ledger.db cannot be used"):
        ledger_of(tmp_path).record(FETCHED)


def test_a_ledger_of_other_columns_is_refused(tmp_path: Path) -> None:
    ledger_of(tmp_path).record(FETCHED)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("ALTER TABLE fetched DROP COLUMN file_sha256")
    with pytest.raises(StorageError, match=r"ledger.db cannot be used"):
        ledger_of(tmp_path).record(FETCHED)


def test_the_files_of_a_range_of_windows(tmp_path: Path) -> None:
    ledger, keys = ledger_of(tmp_path), [f"2024-03-01-10:{minute:02}" for minute in range(0, 60, 15)]
    for key in keys:
        ledger.record(replace(FETCHED, window=key))
        ledger.record(replace(RECOVERED, window=key))
    assert [*ledger.window_files(keys[1], keys[2])] == keys[1:3]
    assert [*ledger.window_files(keys[2])] == [keys[2]]
    assert [*ledger.window_files()] == keys


def withheld(window: str, at: int, **changes: object) -> Withheld:
    stamp = f"2014-01-01T00:00:{at:02}+00:00"
    return replace(Withheld(window, stamp, "run", "sha", 0, 9, stamp, stamp), **changes)  # type: ignore[arg-type]


def test_a_window_waits_from_its_last_withheld_file_until_one_is_committed(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    assert ledger.waiting() == {}
    for entry in (withheld("b", 1), withheld("a", 2), withheld("b", 3, rows=4), withheld("w", 2), COMMITTED):
        ledger.record(entry)
    assert ledger.waiting() == {"a": withheld("a", 2), "b": withheld("b", 3, rows=4)}
    assert ledger.waiting()["a"].first_said == datetime(2014, 1, 1, 0, 0, 2, tzinfo=UTC)
    ledger.record(withheld("w", 4))
    assert list(ledger.waiting()) == ["a", "b", "w"]
    assert ledger.history("b") == [withheld("b", 1), withheld("b", 3, rows=4)]
