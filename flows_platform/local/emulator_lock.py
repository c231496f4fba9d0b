"""Confines local-bigquery to its data folder: no SQL and no job reads, writes or lists a file outside.

DuckDB does most of it. This module checks what local-bigquery does beside its locked connection: it opens a second
connection to create a project's catalog, and it makes folders and lists files for load and export jobs.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
from local_bigquery.app import PROJECT_ID
from local_bigquery.engine import database
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import storage
from local_bigquery.settings import settings

# They are loaded before the lock, which forbids loading; json and parquet are built in, but are loaded on first use.
EXTENSIONS = ("icu", "spatial", "ducklake", "json", "parquet")


def confine(data: Path) -> None:
    """Confine this process's emulator to the folder `data`. Call it before the emulator opens its database."""
    settings.data_dir = data
    settings.gcs_local_root = settings.storage_emulator_host = None  # the environment's, of the same names
    database._connect = functools.cache(_locked(database._connect, data))  # noqa: SLF001 - it offers no hook
    database._attach = _of_valid_projects(database._attach)  # noqa: SLF001 - as above
    storage._local = _inside(storage._local, data)  # noqa: SLF001 - as above


def _locked(connect: Callable[[], duckdb.DuckDBPyConnection], data: Path) -> Callable[[], duckdb.DuckDBPyConnection]:
    def locked() -> duckdb.DuckDBPyConnection:
        connection = connect()
        for name in EXTENSIONS:
            connection.execute(f"LOAD {name}")
        # Both paths, in case the folder is a symbolic link.
        folders = ", ".join(sorted({_literal(f"{data}/"), _literal(f"{data.resolve()}/")}))
        connection.execute(f"SET temp_directory = {_literal(str(data / 'spilled'))}")
        connection.execute(f"SET allowed_directories = [{folders}]")
        # guard: the emulator's SQL uses its own folder alone
        connection.execute("SET enable_external_access = false")
        # guard: the lock of the emulator stays
        connection.execute("SET lock_configuration = true")
        return connection

    return locked


def _of_valid_projects(
    attach: Callable[[duckdb.DuckDBPyConnection, str], None],
) -> Callable[[duckdb.DuckDBPyConnection, str], None]:
    def checked(connection: duckdb.DuckDBPyConnection, project_id: str) -> None:
        # guard: a project's name is not a path
        if not PROJECT_ID.fullmatch(project_id):
            raise BigQueryError("invalid", f"Invalid project ID: {project_id}")
        attach(connection, project_id)

    return checked


def _inside(local: Callable[[str], str], data: Path) -> Callable[[str], str]:
    root = os.path.realpath(data)

    def checked(uri: str) -> str:
        path = local(uri)
        # guard: jobs make and list no folder outside
        if os.path.commonpath((root, os.path.realpath(path))) != root:
            raise BigQueryError("accessDenied", f"Access Denied: {uri} is outside of the emulator's folder")
        return path

    return checked


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
