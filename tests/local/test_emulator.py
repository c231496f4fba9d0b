"""The emulator starts offline, on loopback, once per folder, and comes back after a kill."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from flows_platform.domain.errors import ConfigurationError, ProcessFailed
from flows_platform.local.emulator import Emulator, forget_unfinished_jobs, install_extensions, running, wipe
from flows_platform.local.supervisor import Supervisor


def test_extensions_install_again_and_load_without_a_host() -> None:
    install_extensions()
    install_extensions()
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake; LOAD icu; LOAD spatial")


def test_a_second_one_on_the_same_folder_is_refused_and_the_folder_is_not_wiped(emulator: Emulator) -> None:
    second = Emulator.at(emulator.data)
    with Supervisor() as supervisor, pytest.raises(ConfigurationError, match="another process uses"):
        supervisor.start(second.child())
    with pytest.raises(ConfigurationError, match="an emulator runs on"):
        wipe(emulator.data)
    assert emulator.ready()


def test_wiping_removes_the_folder_and_an_absent_one_is_fine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "local.ducklake").write_text("x")
    wipe(data)
    wipe(data)
    assert not data.exists()


def test_unfinished_jobs_are_forgotten_and_finished_ones_stay(tmp_path: Path) -> None:
    assert forget_unfinished_jobs(tmp_path) == 0
    with duckdb.connect(str(tmp_path / "emulator.duckdb")) as connection:
        connection.execute("CREATE TABLE jobs (job_id VARCHAR, state VARCHAR)")
        connection.execute("INSERT INTO jobs VALUES ('a', 'DONE'), ('b', 'RUNNING'), ('c', 'PENDING')")
    assert forget_unfinished_jobs(tmp_path) == 2
    assert forget_unfinished_jobs(tmp_path) == 0


@pytest.mark.slow
def test_a_process_whose_database_cannot_open_is_given_up_with_its_log(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    broken = Emulator.at(data)
    (data / "local.ducklake").write_bytes(b"not a database" * 1000)
    with Supervisor() as supervisor, pytest.raises(ProcessFailed, match=r"emulator serves errors.*not a valid DuckDB"):
        supervisor.start(replace(broken.child(), tries=1))


@pytest.mark.slow
def test_it_starts_again_after_a_kill(tmp_path: Path) -> None:
    emulator = Emulator.at(tmp_path / "data")
    with Supervisor() as supervisor:
        (child,) = supervisor.start(emulator.child())
        os.killpg(child.pid, signal.SIGKILL)
        assert supervisor.wait(timeout=60) is child
        assert not emulator.ready()
    with running(emulator):
        assert emulator.ready()
