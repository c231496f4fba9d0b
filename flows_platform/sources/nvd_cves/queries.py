"""Reads CVEs from the database: lists by filters, one CVE with all its rows, totals. Writes nothing; knows no HTTP.

Lists are in the order of keys and continue after a key. So every page costs the same, and CVEs that come or change
meanwhile do not shift it. Filters and summaries use the metric that counts: see `schema`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Result, Select, Table, and_, func, select

from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.filters import Aspect, CveFilter
from flows_platform.sources.nvd_cves.schema import KEY, POSITION, SUMMARY, THE_ONE_THAT_COUNTS
from flows_platform.sources.nvd_cves.tables import BY_NAME, CHILDREN, CVES
from flows_platform.sql.engines import plain_errors

type Row = dict[str, Any]

SEVERITY = BY_NAME[schema.METRICS.name]
SCORE = BY_NAME[schema.SCORES.name]
VECTOR = BY_NAME[schema.VECTORS.name]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the id to continue after if there are more."""

    rows: Sequence[Row]
    next: str | None


@dataclass(frozen=True, slots=True)
class CveDetail:
    """A CVE: its summary, its row in `cves`, and its rows in the child tables by table name."""

    summary: Row
    cve: Row
    children: Mapping[str, Sequence[Row]]


COUNTED = {
    Aspect.SEVERITY: SEVERITY,
    Aspect.IMPACT: SCORE,
    Aspect.EXPLOITABILITY: SCORE,
    Aspect.ATTACK_VECTOR: VECTOR,
}
# The condition that a field of `CveFilter` sets, and its table.
# guard: wildcards of a keyword
CONDITIONS: dict[str, tuple[Table, Callable[[Any], ColumnElement[bool]]]] = {
    "id": (CVES, lambda cve_id: CVES.c[KEY] == key_of(cve_id)),
    "keyword": (CVES, lambda text: CVES.c.description.icontains(text, autoescape=True)),
    "severity": (SEVERITY, lambda severity: SEVERITY.c.base_severity == severity),
    "min_score": (SCORE, lambda score: SCORE.c.base_score >= score),
    "max_score": (SCORE, lambda score: SCORE.c.base_score <= score),
    "modified_since": (CVES, lambda instant: CVES.c.last_modified >= instant),
    "attack_vector": (VECTOR, lambda vector: VECTOR.c.attack_vector == vector),
}


class CveQueries:
    """The database as readers see it. Threads may share one.

    Every method raises StorageError if the database or a table does not exist, and WarehouseUnavailable if the database
    cannot be reached now.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()

    def page(self, wanted: CveFilter, after: str | None, limit: int) -> Page:
        """The first `limit` CVEs that match, in the order of keys, after the id `after`."""
        keys = _keys(wanted, after, limit + 1)
        statement = _summaries().where(CVES.c[KEY].in_(keys)).order_by(CVES.c[KEY])
        with plain_errors(self._engine), self._engine.begin() as connection:
            rows = _rows(connection.execute(statement))
        return Page(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)

    def one(self, cve_id: str) -> CveDetail | None:
        """A CVE with all its rows, from one state of the database; None if it is not stored."""
        key = key_of(cve_id)
        with plain_errors(self._engine), self._engine.begin() as connection:
            summaries = _rows(connection.execute(_summaries().where(CVES.c[KEY] == key)))
            cves = _rows(connection.execute(select(CVES).where(CVES.c[KEY] == key)))
            return CveDetail(summaries[0], cves[0], _children(connection, key)) if cves else None

    def totals(self, aspect: Aspect, published_since: datetime | None) -> Sequence[Row]:
        """The number of CVEs and their mean base score per value of a column. CVEs without one come last, as None."""
        table = COUNTED[aspect]
        column = table.c[aspect.value]
        counts = func.count().label("cves"), func.avg(SCORE.c.base_score).label("mean_base_score")
        statement = select(column.label(aspect.value), *counts).select_from(_joined({table, SCORE})).group_by(column)
        if published_since is not None:
            statement = statement.where(CVES.c.published >= published_since)
        with plain_errors(self._engine), self._engine.begin() as connection:
            return _rows(connection.execute(statement.order_by(column.asc().nulls_last())))


def _joined(tables: Iterable[Table] = (SEVERITY, SCORE, VECTOR)) -> FromClause:
    """CVEs joined with the rows of the metric that counts in `tables`, if there is one."""
    joined: FromClause = CVES
    for table in tables:
        joined = joined.outerjoin(table, and_(table.c[KEY] == CVES.c[KEY], *_that_counts(table)))
    return joined


def _summaries() -> Select[Any]:
    columns = [BY_NAME[table.name].c[name] for table, names in SUMMARY for name in names]
    return select(*columns).select_from(_joined())


def _keys(wanted: CveFilter, after: str | None, limit: int) -> Select[tuple[int]]:
    """The keys of a page, before anything else of its CVEs is read.

    With a severity or an attack vector, their index leads: it ends with the key, so a page is a range of it, and only
    CVEs that match are read. With a time of modification, its index must be used and the few keys sorted, instead of
    all CVEs read in the order of keys: adding 0 to the key keeps the database from using an index of keys.
    """
    given = [(condition, getattr(wanted, name)) for name, condition in CONDITIONS.items()]
    asked = [(table, condition(value)) for (table, condition), value in given if value is not None]
    tables = {table for table, _ in asked}
    lead = next((table for table in (SEVERITY, VECTOR) if table in tables), CVES)
    joined: FromClause = lead
    for table in tables - {lead}:
        joined = joined.join(table, and_(table.c[KEY] == lead.c[KEY], *_that_counts(table)))
    order = lead.c[KEY] + 0 if lead is CVES and wanted.modified_since is not None else lead.c[KEY]
    found = select(lead.c[KEY]).select_from(joined).where(*_that_counts(lead), *(condition for _, condition in asked))
    if after is not None:
        found = found.where(order > key_of(after))
    return found.order_by(order).limit(limit)


def _that_counts(table: Table) -> list[ColumnElement[bool]]:
    return [] if table is CVES else [table.c[POSITION] == THE_ONE_THAT_COUNTS]


def _children(connection: Connection, key: int) -> dict[str, Sequence[Row]]:
    found: dict[str, Sequence[Row]] = {}
    for table in CHILDREN:
        columns = [column for column in table.columns if column.name != KEY]
        rows = select(*columns).where(table.c[KEY] == key).order_by(table.c[POSITION])
        found[table.name] = _rows(connection.execute(rows))
    return found


def _rows(result: Result[Any]) -> list[Row]:
    names = list(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]
