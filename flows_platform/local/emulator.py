"""The embedded warehouse: local-bigquery, an emulator over DuckDB, as a child process on this machine's loopback.

It answers only requests with the key of this installation, and uses no file outside its folder: see `emulator_process`.

This module starts it and checks that it serves; the code that uses it is the same as for BigQuery.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

from flows_platform.access.key import installation_key
from flows_platform.domain.errors import ConfigurationError, WarehouseUnavailable
from flows_platform.local.child import ChildProcess, Sink, discard
from flows_platform.local.own_servers import asked
from flows_platform.local.ports import Address, free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.runtime.imports import EMULATOR, required
from flows_platform.runtime.locks import try_lock

HOST = "127.0.0.1"
EXTENSIONS = ("icu", "spatial", "ducklake")
# Kept beside the data directory's files, so that two emulators never open one DuckDB.
LOCK = "emulator.lock"
# The first answer comes after 1.4 to 4 s on a quiet machine.
READY_TIMEOUT = 90.0


def install_extensions(names: Sequence[str] = EXTENSIONS) -> None:
    """Install extensions of DuckDB from their packages, so that DuckDB downloads none; by default the emulator's.

    Takes a millisecond if they are installed already.

    Raises:
        ConfigurationError: DuckDB or one of its extensions is not installed.
    """
    with required(EMULATOR):
        import duckdb  # noqa: PLC0415 - only the emulator needs it

    with duckdb.connect() as connection:
        for name in names:
            with required(EMULATOR):
                folder = Path(import_module(f"duckdb_extension_{name}").__path__[0])
            binary = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
            if not binary.is_file():
                raise ConfigurationError(
                    f"the DuckDB extension {binary} is missing.",
                    remedy=f"Install duckdb-extension-{name}=={duckdb.__version__}; the versions must be the same.",
                )
            connection.execute(f"INSTALL '{str(binary).replace("'", "''")}'")


def forget_unfinished_jobs(data: Path) -> int:
    """Delete the jobs that a killed emulator left as running, since they never end; returns their number."""
    import duckdb  # noqa: PLC0415 - as above

    database = data / "emulator.duckdb"
    if not database.exists():
        return 0
    with duckdb.connect(str(database)) as connection:
        if not connection.execute("FROM duckdb_tables() WHERE table_name = 'jobs'").fetchall():
            return 0
        return len(connection.execute("DELETE FROM jobs WHERE state <> 'DONE' RETURNING job_id").fetchall())


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulator over the folder `data`. `log` is its log file; `port_setting` names the setting of its port.

    Its key is in `key_file`, outside `data`, which SQL can read.
    """

    data: Path
    port: int
    key_file: Path
    log: Path
    project: str = "local"
    port_setting: str = "FLOWS_EMULATOR_PORT"

    @classmethod
    def at(cls, data: Path, *, port: int = 0, log: Path | None = None) -> "Emulator":
        """An emulator on a free port if `port` is 0, with its key and, by default, its log beside `data`."""
        return cls(data, port or free_port(HOST), data.with_suffix(".key"), log or data.with_suffix(".log"))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def argv(self) -> tuple[str, ...]:
        options = {
            "--port": str(self.port),
            "--project": self.project,
            "--data-dir": str(self.data),
            "--key-file": str(self.key_file),
        }
        program = "flows_platform.local.emulator_process"
        return (sys.executable, "-m", program, *(word for option in options.items() for word in option))

    def child(self) -> ChildProcess:
        """The process for a supervisor, which starts it up to three times if its database does not open."""
        return ChildProcess(
            name="emulator",
            argv=self.argv,
            log=self.log,
            ready=self.ready,
            addresses=(Address(HOST, self.port, self.port_setting),),
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

        DuckDB opens with the first request; if that fails, the process stays broken.

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
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {installation_key(self.key_file)}"}
        request = Request(  # noqa: S310 - the address is this machine's own
            f"{self.url}/bigquery/v2/{path}", data=body, headers=headers
        )
        with asked(request, timeout=30.0) as answer:
            return json.load(answer)


def wipe(data: Path) -> None:
    """Remove an emulator's folder; nothing else deletes its old files.

    Raises:
        ConfigurationError: an emulator is running on it.
    """
    if not data.exists():
        return
    lock = try_lock(data / LOCK)
    # guard: a running emulator's folder stays
    if lock is None:
        raise ConfigurationError(f"an emulator runs on {data}.", remedy="Stop it first.")
    try:
        shutil.rmtree(data)
    finally:
        os.close(lock)


@contextmanager
def running(emulator: Emulator, sink: Sink = discard) -> Iterator[Emulator]:
    """Run the emulator until the block is left."""
    with Supervisor(sink) as supervisor:
        supervisor.start(emulator.child())
        yield emulator
