"""A snapshot is one state of one file: read-only, and its twin sees the same or is not given."""

import os
from pathlib import Path

import apsw
import pytest

from api_server.flows.database import Snapshot
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import build, flows


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return build(tmp_path / "a ?#%41.db", flows(10))


def test_a_twin_sees_the_same_file(database: Path) -> None:
    snapshot = Snapshot.open(database, FLOWS)
    twin = snapshot.twin(FLOWS)
    assert twin is not None
    assert twin.connection.execute("SELECT count(*) FROM flows").get == 10
    twin.close()
    snapshot.close()
    snapshot.close()


@pytest.mark.parametrize("change", ["replaced", "removed", "wal"])
def test_no_twin_of_another_state(database: Path, tmp_path: Path, change: str) -> None:
    if change == "wal":
        connection = apsw.Connection(str(database))
        connection.pragma("journal_mode", "wal")
        connection.close()
    snapshot = Snapshot.open(database, FLOWS)
    if change == "replaced":
        os.replace(build(tmp_path / "new.db", flows(3)), database)  # noqa: PTH105  the very call a load ends with
    elif change == "removed":
        database.unlink()
    assert snapshot.twin(FLOWS) is None
    assert snapshot.connection.execute("SELECT count(*) FROM flows").get == 10
    snapshot.close()


def test_it_can_neither_write_nor_create(database: Path, tmp_path: Path) -> None:
    snapshot = Snapshot.open(database, FLOWS)
    with pytest.raises(apsw.ReadOnlyError):
        snapshot.connection.execute("DELETE FROM flows")
    with pytest.raises(apsw.SQLError, match="too many attached databases"):
        snapshot.connection.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    snapshot.close()
    assert not (tmp_path / "other.db").exists()
