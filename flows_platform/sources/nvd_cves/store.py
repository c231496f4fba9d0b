"""Writes CVEs to the database: upserts of those that are newer than stored, replacing all their rows.

A batch is one transaction with a fixed number of statements. The row in `cves` decides: only a newer one replaces it,
and then the CVE's child rows are replaced too. Its lock is held to the end, so a second writer of the same CVE waits
and then compares again. Rows are written in the order of their keys, so two writers never wait for each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from flows_platform.domain.progress import Progress, silent
from flows_platform.sources.nvd_cves.cve_id import id_of
from flows_platform.sources.nvd_cves.rows import CveRows, CveVersion, rows_of
from flows_platform.sources.nvd_cves.schema import KEY
from flows_platform.sources.nvd_cves.tables import CHILDREN, CVES, METADATA
from flows_platform.sql.engines import BUSY_SECONDS, POSTGRESQL, SQLITE, plain_errors
from flows_platform.sql.write_ahead import write_ahead

BATCH = 500  # CVEs; about 3 MB of rows
PAGE = 10_000  # keys at a time, where all are read
LOCK = 0x6E7664  # PostgreSQL's advisory lock; any number of our own


@dataclass(frozen=True, slots=True)
class Counts:
    """What an upsert did. A CVE is unchanged if its stored state is as new or newer."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged)


class CveStore:
    """The database as writers see it. Threads may share one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._upsert = _upsert(engine.dialect.name)

    def create_tables(self) -> None:
        """Create the tables that are missing; several processes may do so at once.

        Raises:
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        with plain_errors(self._engine):
            if self._engine.dialect.name == SQLITE:
                write_ahead(Path(self._engine.url.database or ""), BUSY_SECONDS)
            with self._engine.begin() as connection:
                if self._engine.dialect.name == POSTGRESQL:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
                    _drop_second_unique(connection)
                METADATA.create_all(connection)

    def newer(self, versions: Iterable[CveVersion]) -> set[str]:
        """The ids of the CVEs that are newer than stored, or not stored.

        Raises:
            InputError: an id is not a CVE id.
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        found: set[str] = set()
        with plain_errors(self._engine):
            for batch in batched(versions, BATCH, strict=False):
                keys = [version.key for version in batch]
                held = select(CVES.c[KEY], CVES.c.last_modified).where(CVES.c[KEY].in_(keys))
                with self._engine.begin() as connection:
                    stored = {int(row[0]): row[1] for row in connection.execute(held)}
                found |= {cve.id for cve in batch if cve.key not in stored or cve.last_modified > stored[cve.key]}
        return found

    def upsert(self, cves: Iterable[Mapping[str, object]], *, progress: Progress = silent) -> Counts:
        """Write the CVEs that are newer than stored, in batches; `progress` counts CVEs. Batches before a failure stay.

        Raises:
            InputError: a CVE is malformed; nothing of its batch is written.
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        counts, done = Counts(), 0
        for batch in batched(cves, BATCH, strict=False):
            counts += self._write([rows_of(cve) for cve in batch])
            done += len(batch)
            progress(done, None)
        return counts

    def _write(self, batch: Sequence[CveRows]) -> Counts:
        newest: dict[int, CveRows] = {}
        # guard: newest of a batch
        for rows in sorted(batch, key=lambda rows: (rows.version.key, rows.version.last_modified)):
            newest[rows.version.key] = rows
        with plain_errors(self._engine), self._engine.begin() as connection:
            cves = [rows.cve for rows in newest.values()]
            written = {int(row[0]): int(row[1]) for row in connection.execute(self._upsert, cves)}
            updated = [key for key, revision in written.items() if revision > 1]
            _replace_children(connection, [newest[key] for key in written], updated)
        return Counts(len(written) - len(updated), len(updated), len(batch) - len(written))

    def total(self, *, modified_from: datetime | None = None, modified_before: datetime | None = None) -> int:
        """How many CVEs are stored, within the bounds of last-modified if they are given; the second one is exclusive.

        Raises:
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        statement = select(func.count()).select_from(CVES)
        if modified_from is not None:
            statement = statement.where(CVES.c.last_modified >= modified_from)
        if modified_before is not None:
            statement = statement.where(CVES.c.last_modified < modified_before)
        with plain_errors(self._engine), self._engine.begin() as connection:
            return connection.execute(statement).scalar_one()

    def newest(self) -> datetime | None:
        """The latest last-modified that is stored; None if there are no CVEs.

        Raises:
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        with plain_errors(self._engine), self._engine.begin() as connection:
            found: datetime | None = connection.execute(select(func.max(CVES.c.last_modified))).scalar_one()
            return found

    def ids(self) -> Iterator[str]:
        """All ids in the order of their keys, a page at a time.

        Raises:
            StorageError: the database refuses.
            WarehouseUnavailable: it cannot be reached now.
        """
        after = -1
        while True:
            page = select(CVES.c[KEY]).where(CVES.c[KEY] > after).order_by(CVES.c[KEY]).limit(PAGE)
            with plain_errors(self._engine), self._engine.begin() as connection:
                keys = [int(key) for key in connection.execute(page).scalars()]
            yield from map(id_of, keys)
            if len(keys) < PAGE:
                return
            after = keys[-1]


def _drop_second_unique(connection: Connection) -> None:
    """Drop the unique constraint on ids that earlier tables have: the key is made of the id.

    ON CONFLICT looks at the index of the key alone; of two writers that insert one CVE at once, the second could fail
    in the index of the ids.
    """
    held = text("SELECT 1 FROM pg_constraint WHERE conname = :name AND conrelid = to_regclass(:table)")
    name = f"{CVES.name}_id_key"
    if connection.execute(held, {"name": name, "table": CVES.name}).scalar() is not None:
        connection.execute(text(f"ALTER TABLE {CVES.name} DROP CONSTRAINT {name}"))


def _upsert(dialect: str) -> ReturningInsert[int, int]:
    """One statement for the `cves` rows of a batch; it returns key and revision of the rows that it wrote."""
    statement = (postgresql.insert if dialect == POSTGRESQL else sqlite.insert)(CVES)
    given = statement.excluded
    changes = {column.name: given[column.name] for column in CVES.columns if column.name != KEY}
    # guard: older CVE
    return statement.on_conflict_do_update(
        index_elements=[CVES.c[KEY]],
        set_={**changes, "revision": CVES.c.revision + 1},
        where=CVES.c.last_modified < given.last_modified,
    ).returning(CVES.c[KEY], CVES.c.revision)


def _replace_children(connection: Connection, written: Sequence[CveRows], updated: Sequence[int]) -> None:
    for table in CHILDREN:
        # guard: old children
        if updated:
            connection.execute(delete(table).where(table.c[KEY].in_(updated)))
        rows = _rows(written, table)
        if rows:
            connection.execute(insert(table), rows)


def _rows(written: Sequence[CveRows], table: Table) -> list[dict[str, object]]:
    return [row for rows in written for row in rows.children[table.name]]
