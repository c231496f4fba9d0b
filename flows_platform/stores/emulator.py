"""The embedded warehouse: local-bigquery, an emulator over DuckDB, as a child process on this machine's loopback.

Only what it takes to start it and know that it serves; the code that uses it is the same as for BigQuery.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import duckdb

from flows_platform.domain.errors import ConfigurationError, WarehouseUnavailable
from flows_platform.file_lock import try_lock
from flows_platform.supervision.child import ChildProcess, Sink, discard
from flows_platform.supervision.ports import Address, free_port
from flows_platform.supervision.supervisor import Supervisor

HOST = "127.0.0.1"  # always said: its own default is every interface
EXTENSIONS = ("icu", "spatial", "ducklake")
# Kept beside the data directory's files, so that two emulators never open one DuckDB.
LOCK = "emulator.lock"
# The first answer comes after 1.4 to 4 s on a quiet machine.
READY_TIMEOUT = 90.0


def install_extensions() -> None:
    """Puts DuckDB's extensions from their packages where DuckDB looks, so that it asks no host for them.

    Costs a millisecond where they are installed already.
    """
    with duckdb.connect() as connection:
        for name in EXTENSIONS:
            folder = Path(import_module(f"duckdb_extension_{name}").__path__[0])
            binary = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
            if not binary.is_file():
                raise ConfigurationError(
                    f"the DuckDB extension {binary} is missing.",
                    remedy=f"Install duckdb-extension-{name}=={duckdb.__version__}; the versions must be the same.",
                )
            connection.execute(f"INSTALL '{str(binary).replace("'", "''")}'")


def forget_unfinished_jobs(data: Path) -> int:
    """Deletes the jobs a killed emulator left as running, which would be waited for in vain; says how many."""
    database = data / "emulator.duckdb"
    if not database.exists():
        return 0
    with duckdb.connect(str(database)) as connection:
        if not connection.execute("FROM duckdb_tables() WHERE table_name = 'jobs'").fetchall():
            return 0
        return len(connection.execute("DELETE FROM jobs WHERE state <> 'DONE' RETURNING job_id").fetchall())


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulator over the folder `data`. `log` is its log file; the settings are what a person changes."""

    data: Path
    port: int
    grpc_port: int
    log: Path
    project: str = "local"
    port_setting: str = "FLOWS_EMULATOR_PORT"
    grpc_port_setting: str = "FLOWS_EMULATOR_GRPC_PORT"

    @classmethod
    def at(cls, data: Path, *, port: int = 0, grpc_port: int = 0, log: Path | None = None) -> "Emulator":
        """One with free ports where they are 0; its log lies beside `data` unless said otherwise."""
        return cls(data, port or free_port(HOST), grpc_port or free_port(HOST), log or data.with_suffix(".log"))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def argv(self) -> tuple[str, ...]:
        options = {
            "--host": HOST,
            "--port": str(self.port),
            "--grpc-port": str(self.grpc_port),
            "--project": self.project,
            "--data-dir": str(self.data),
        }
        # By module, not by the script's path, which a moved environment would break.
        program = "from local_bigquery.cli import main; main()"
        return (sys.executable, "-c", program, "serve", *(each for option in options.items() for each in option))

    def child(self) -> ChildProcess:
        """The process for a supervisor: started anew, up to three times, where its database did not open."""
        return ChildProcess(
            name="emulator",
            argv=self.argv,
            log=self.log,
            ready=self.ready,
            addresses=(
                Address(HOST, self.port, self.port_setting),
                Address(HOST, self.grpc_port, self.grpc_port_setting),
            ),
            lock=self.data / LOCK,
            prepare=self._prepare,
            ready_timeout=READY_TIMEOUT,
            tries=3,
        )

    def _prepare(self) -> None:
        install_extensions()
        forget_unfinished_jobs(self.data)

    def ready(self) -> bool:
        """Whether it answers a query.

        DuckDB opens with the first request; where that fails the process stays broken for good.

        Raises:
            WarehouseUnavailable: it answers, but with an error.
        """
        try:
            self._ask("projects")
            self._ask(f"projects/{self.project}/queries", b'{"query": "SELECT 1", "useLegacySql": false}')
        except HTTPError as error:
            detail = error.read(1000).decode(errors="replace")
            raise WarehouseUnavailable(f"the emulator at {self.url} is broken: {error}, {detail}") from error
        except (URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _ask(self, path: str, body: bytes | None = None) -> object:
        request = Request(  # noqa: S310 - the address is this machine's own
            f"{self.url}/bigquery/v2/{path}", data=body, headers={"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=30.0) as answer:  # noqa: S310 - as above
            return json.load(answer)


def wipe(data: Path) -> None:
    """Removes an emulator's folder; its old files are never purged otherwise.

    Raises:
        ConfigurationError: an emulator is running on it.
    """
    if not data.exists():
        return
    lock = try_lock(data / LOCK)
    if lock is None:
        raise ConfigurationError(f"an emulator runs on {data}.", remedy="Stop it first.")
    try:
        shutil.rmtree(data)
    finally:
        os.close(lock)


@contextmanager
def running(emulator: Emulator, sink: Sink = discard) -> Iterator[Emulator]:
    """The emulator, serving until the block is left."""
    with Supervisor(sink) as supervisor:
        supervisor.start(emulator.child())
        yield emulator
