"""Engines for the database of CVEs, to write or to read: sqlite or PostgreSQL, as its URL says. Knows no table.

No error shows the URL: it may hold a password, and in a malformed URL part of the password may be taken for the host.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from flows_platform.domain.errors import ConfigurationError, PlatformError, StorageError, WarehouseUnavailable
from flows_platform.domain.redaction import Redactor
from flows_platform.runtime.imports import POSTGRES, required

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {"sqlite": SQLITE, "postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}
HOST = re.compile("[A-Za-z0-9._:-]*")
DATABASE = re.compile("[^@/:]*")
REMEDY = (
    "Write sqlite:////absolute/path/cves.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @ and %2F "
    "for / in a password."
)
BUSY_SECONDS = 60.0  # wait for another writer, whose batch takes less than a second
CONNECT_SECONDS = 10
READ_MILLISECONDS = 30_000
# PostgreSQL's states for "try again": deadlock, serialization, connection lost or refused, shutting down, too many.
PASSING = re.compile("40|08|57P|53")


def writer(url: str) -> Engine:
    """An engine that writes; a missing sqlite file and its folder are created.

    Raises:
        ConfigurationError: the URL is not one of sqlite or PostgreSQL.
        StorageError: the folder cannot be created.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        return _postgresql(parsed)
    file = Path(parsed.database or "")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {file.parent} cannot be created: {error.strerror}.") from error
    return _sqlite(parsed, begin="BEGIN IMMEDIATE")


def reader(url: str) -> Engine:
    """An engine that cannot write and never creates a file; a transaction sees one state of the database.

    Raises:
        ConfigurationError: the URL is not one of sqlite or PostgreSQL.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        options = f"-c default_transaction_read_only=on -c statement_timeout={READ_MILLISECONDS}"
        return _postgresql(parsed, isolation_level="REPEATABLE READ", connect_args={"options": options})
    uri = f"file:{quote(str(Path(parsed.database or '').absolute()))}"
    # No pool: a pooled connection would go on reading a file that has been replaced.
    # guard: read only
    address = URL.create(SQLITE, database=uri, query={"mode": "ro", "uri": "true"})
    # guard: one state for a reader
    # guard: replaced CVE file
    return _sqlite(address, begin="BEGIN", poolclass=NullPool)


def database_url(url: str) -> URL:
    """The URL with its driver.

    Raises:
        ConfigurationError: the URL is not one of sqlite or PostgreSQL, or it names no file.
    """
    parsed = _parsed(url)
    if parsed is None or parsed.drivername not in DRIVERS or not _is_sound(parsed):
        # Not chained: the cause may show the URL.
        raise ConfigurationError("the database URL is not one of sqlite or PostgreSQL.", remedy=REMEDY)
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except (SQLAlchemyError, ValueError):
        return None


def _is_sound(url: URL) -> bool:
    if url.get_backend_name() == SQLITE:
        return bool(url.database) and url.database != ":memory:" and not url.query and not url.host
    # guard: part of a password as host
    return bool(HOST.fullmatch(url.host or "")) and bool(DATABASE.fullmatch(url.database or ""))


def _postgresql(url: URL, connect_args: dict[str, Any] | None = None, **options: Any) -> Engine:
    arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "flows_platform"} | (connect_args or {})
    with required(POSTGRES):
        return create_engine(url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True, **options)


def _sqlite(url: URL, *, begin: str, **options: Any) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True, **options)

    # Python's sqlite3 begins no transaction before a SELECT, so it is switched off and `on_begin` begins every one.
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        # guard: foreign keys
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def plain_errors(engine: Engine) -> Iterator[None]:
    """Turn errors of the database into the platform's, without statement, values and password.

    Raises:
        WarehouseUnavailable: the error is transient.
        StorageError: any other error.
    """
    try:
        yield
    except SQLAlchemyError as error:
        kind: type[PlatformError] = WarehouseUnavailable if _passes(error) else StorageError
        raise kind(
            f"the CVE database {_reason(engine, error)}.",
            remedy=f"It is {database_name(engine)}; FLOWS_SQL_URL names it.",
        ) from None


def _passes(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return bool(PASSING.match(str(state)))
    # Without a state, the text decides: sqlite says "locked", psycopg that the connection failed.
    text = str(error.orig)
    return error.connection_invalidated or (
        isinstance(error, OperationalError) and ("locked" in text or "connection" in text)
    )


def _reason(engine: Engine, error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = " ".join(str(cause).split())[:300].rstrip(".?")
    return f"says: {Redactor((engine.url.password or '',))(text)}"


def database_name(engine: Engine) -> str:
    """The database for messages, without its password."""
    url = engine.url
    where = url.database if url.get_backend_name() == SQLITE else f"{url.host}:{url.port or 5432}/{url.database}"
    return f"{url.get_backend_name()} at {where}"
