"""A real PostgreSQL in a folder of its own on a free port, if one is installed. No tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "canary-p@ss/word"  # noqa: S105  of a server that lives as long as the tests
OWNER = "postgres"


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))[-1:]), None)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: no {name} on the PATH or in /usr/lib/postgresql")
    return found


def _as_owner() -> Sequence[str]:
    """What comes before a command, as PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("runuser") is None or OWNER not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres to run it as")
    return ("runuser", "-u", OWNER, "--")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Postgres:
    """A running server with one database, which a test gets empty."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str = "postgres", password: str = "canary-p%40ss%2Fword") -> str:  # noqa: S107  see PASSWORD
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    def emptied(self) -> str:
        """The URL of the database, emptied."""
        import psycopg  # noqa: PLC0415  only where a server was found

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self.url()


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server, or skip the test if that is not possible."""
    initdb, pg_ctl, prefix = _program("initdb"), _program("pg_ctl"), _as_owner()
    # Not pytest's folder, which only root may enter.
    folder = Path(tempfile.mkdtemp(prefix="cves-postgres-"))
    port = _free_port()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if prefix:
        shutil.chown(folder, OWNER)
        shutil.chown(secret, OWNER)
    data = str(folder / "data")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
    steps = [
        [
            initdb,
            "-D",
            data,
            "-U",
            OWNER,
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ],
        [pg_ctl, "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start"],
    ]
    try:
        for step in steps:
            done = subprocess.run([*prefix, *step], capture_output=True, text=True, check=False, cwd="/")
            assert done.returncode == 0, done.stdout + done.stderr
        yield Postgres(port)
    finally:
        stop = [*prefix, pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"]
        subprocess.run(stop, capture_output=True, check=False, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)
