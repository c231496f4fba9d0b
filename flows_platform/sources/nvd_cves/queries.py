"""CVEs out of the database: lists by filters, one with all its parts, totals. Writes nothing; knows no HTTP.

Lists are in the order of keys and continue after a key, so a page costs the same wherever it stands, and CVEs that come
or change meanwhile shift nothing. Of a CVE's metrics the one that counts is meant: see `schema`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Result, Select, and_, func, select

from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.database import plain_errors
from flows_platform.sources.nvd_cves.filters import Aspect, CveFilter
from flows_platform.sources.nvd_cves.schema import KEY, POSITION, SUMMARY, THE_ONE_THAT_COUNTS
from flows_platform.sources.nvd_cves.tables import BY_NAME, CHILDREN, CVES

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


COUNTED: dict[Aspect, ColumnElement[Any]] = {
    Aspect.SEVERITY: SEVERITY.c.base_severity,
    Aspect.IMPACT: SCORE.c.impact_score,
    Aspect.EXPLOITABILITY: SCORE.c.exploitability_score,
    Aspect.ATTACK_VECTOR: VECTOR.c.attack_vector,
}
# What each field of `CveFilter` asks for.
CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "id": lambda cve_id: CVES.c[KEY] == key_of(cve_id),
    "keyword": lambda text: CVES.c.description.icontains(text, autoescape=True),
    "severity": lambda severity: SEVERITY.c.base_severity == severity,
    "min_score": lambda score: SCORE.c.base_score >= score,
    "max_score": lambda score: SCORE.c.base_score <= score,
    "modified_since": lambda instant: CVES.c.last_modified >= instant,
    "attack_vector": lambda vector: VECTOR.c.attack_vector == vector,
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
        statement = _summaries().where(*_conditions(wanted)).order_by(CVES.c[KEY]).limit(limit + 1)
        if after is not None:
            statement = statement.where(CVES.c[KEY] > key_of(after))
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
        column = COUNTED[aspect]
        counts = func.count().label("cves"), func.avg(SCORE.c.base_score).label("mean_base_score")
        statement = select(column.label(aspect.value), *counts).select_from(_joined()).group_by(column)
        if published_since is not None:
            statement = statement.where(CVES.c.published >= published_since)
        with plain_errors(self._engine), self._engine.begin() as connection:
            return _rows(connection.execute(statement.order_by(column.asc().nulls_last())))


def _joined() -> FromClause:
    joined: FromClause = CVES
    for table in (SEVERITY, SCORE, VECTOR):
        same = and_(table.c[KEY] == CVES.c[KEY], table.c[POSITION] == THE_ONE_THAT_COUNTS)
        joined = joined.outerjoin(table, same)
    return joined


def _summaries() -> Select[Any]:
    columns = [BY_NAME[table.name].c[name] for table, names in SUMMARY for name in names]
    return select(*columns).select_from(_joined())


def _conditions(wanted: CveFilter) -> list[ColumnElement[bool]]:
    given = {name: getattr(wanted, name) for name in CONDITIONS}
    return [CONDITIONS[name](value) for name, value in given.items() if value is not None]


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
