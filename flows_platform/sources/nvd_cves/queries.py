"""CVEs out of the database: lists by filters, one with all its parts, totals. Writes nothing; knows no HTTP.

Lists are in the order of keys and continue after a key, so a page costs the same wherever it stands, and CVEs that come
or change meanwhile shift nothing. Of a CVE's metrics the one that counts is meant: see `schema`.
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
    """Rows of a list, and the id to continue after, where there are more."""

    rows: Sequence[Row]
    next: str | None


@dataclass(frozen=True, slots=True)
class CveDetail:
    """A CVE: its summary, its fact row, and the rows of each child table by name."""

    summary: Row
    fact: Row
    children: Mapping[str, Sequence[Row]]


COUNTED = {
    Aspect.SEVERITY: SEVERITY,
    Aspect.IMPACT: SCORE,
    Aspect.EXPLOITABILITY: SCORE,
    Aspect.ATTACK_VECTOR: VECTOR,
}
# What each field of `CveFilter` asks for, and of which table.
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

    Every method raises StorageError where the database or a table is not there, and WarehouseUnavailable where it
    cannot be reached now.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the connections that rest."""
        self._engine.dispose()

    def page(self, wanted: CveFilter, after: str | None, limit: int) -> Page:
        """The first `limit` CVEs that fit, in the order of keys, after the id `after`."""
        keys = _keys(wanted, after, limit + 1)
        statement = _summaries().where(CVES.c[KEY].in_(keys)).order_by(CVES.c[KEY])
        with plain_errors(self._engine), self._engine.begin() as connection:
            rows = _rows(connection.execute(statement))
        return Page(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)

    def one(self, cve_id: str) -> CveDetail | None:
        """A CVE with all its parts, from one state of the database; None where it is not held."""
        key = key_of(cve_id)
        with plain_errors(self._engine), self._engine.begin() as connection:
            summaries = _rows(connection.execute(_summaries().where(CVES.c[KEY] == key)))
            facts = _rows(connection.execute(select(CVES).where(CVES.c[KEY] == key)))
            return CveDetail(summaries[0], facts[0], _children(connection, key)) if facts else None

    def totals(self, aspect: Aspect, published_since: datetime | None) -> Sequence[Row]:
        """CVEs and their mean base score by a column, those without a value last and as None; they add up to all."""
        table = COUNTED[aspect]
        column = table.c[aspect.value]
        counts = func.count().label("cves"), func.avg(SCORE.c.base_score).label("mean_base_score")
        statement = select(column.label(aspect.value), *counts).select_from(_joined({table, SCORE})).group_by(column)
        if published_since is not None:
            statement = statement.where(CVES.c.published >= published_since)
        with plain_errors(self._engine), self._engine.begin() as connection:
            return _rows(connection.execute(statement.order_by(column.asc().nulls_last())))


def _joined(tables: Iterable[Table] = (SEVERITY, SCORE, VECTOR)) -> FromClause:
    """CVEs beside what the metric that counts says in `tables`, if there is one."""
    joined: FromClause = CVES
    for table in tables:
        joined = joined.outerjoin(table, and_(table.c[KEY] == CVES.c[KEY], *_that_counts(table)))
    return joined


def _summaries() -> Select[Any]:
    columns = [BY_NAME[table.name].c[name] for table, names in SUMMARY for name in names]
    return select(*columns).select_from(_joined())


def _keys(wanted: CveFilter, after: str | None, limit: int) -> Select[tuple[int]]:
    """The keys of a page, before anything else of its CVEs is read.

    Where a severity or an attack vector is asked for, their index leads: it ends with the key, so a page is a range of
    it, and no more CVEs are touched than fit. Where the time of modification is, its index shall be used and the few
    keys sorted, rather than all CVEs walked in the order of keys: the sum is what no index of keys fits.
    """
    given = [(each, getattr(wanted, name)) for name, each in CONDITIONS.items()]
    asked = [(table, condition(value)) for (table, condition), value in given if value is not None]
    tables = {table for table, _ in asked}
    lead = next((table for table in (SEVERITY, VECTOR) if table in tables), CVES)
    joined: FromClause = lead
    for table in tables - {lead}:
        joined = joined.join(table, and_(table.c[KEY] == lead.c[KEY], *_that_counts(table)))
    place = lead.c[KEY] + 0 if lead is CVES and wanted.modified_since is not None else lead.c[KEY]
    found = select(lead.c[KEY]).select_from(joined).where(*_that_counts(lead), *(each for _, each in asked))
    if after is not None:
        found = found.where(place > key_of(after))
    return found.order_by(place).limit(limit)


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
