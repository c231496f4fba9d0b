"""Which rows a request asks for: their exact count, and positions at which they can be read chunk by chunk.

Positions are ids where the rows are one range of ids, else the row numbers of a TEMP table made for the request.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from api_server.flows.database import Snapshot
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.simulated_clock import PERMILLE, STEP
from flows_platform.formats.protocol.sql_text import identifier

# The first chunk is small: it takes a tenth of a millisecond, wherever the window is.
FIRST_CHUNK_ROWS = 64
# A range of ids is read as such if it has at least every fourth id, or its gaps are no more than a few empty chunks.
GAPS = 4
FREE_GAPS = 100_000


@dataclass(frozen=True, slots=True)
class Withheld:
    """Rows that do not show yet: those later than `after` that are in `LateRows` of `permille`."""

    after: int
    permille: int

    def clause(self, schema: TableSchema) -> tuple[str, tuple[int, ...]]:
        """A condition that leaves them out, and the values it binds."""
        late = f"{identifier(schema.key)} % {PERMILLE} * {STEP} % {PERMILLE} < ?"
        return f"NOT ({identifier(schema.time)} > ? AND {late})", (self.after, self.permille)


@dataclass(frozen=True, slots=True)
class Query:
    """`after < time <= before`, at most `limit` rows in id order; None leaves a bound out."""

    after: int | None = None
    before: int | None = None
    limit: int | None = None
    withheld: Withheld | None = None

    def where(self, schema: TableSchema) -> tuple[str, tuple[int, ...]]:
        """The WHERE clause, empty without bounds, and the values it binds."""
        time = identifier(schema.time)
        bounds = [(f"{time} > ?", self.after), (f"{time} <= ?", self.before)]
        held: list[tuple[str, tuple[int, ...]]] = [(sql, (value,)) for sql, value in bounds if value is not None]
        if self.withheld:
            held.append(self.withheld.clause(schema))
        clause = " AND ".join(sql for sql, _ in held)
        return (f"WHERE {clause}" if held else "", tuple(value for _, values in held for value in values))


EVERYTHING = Query()


@dataclass(frozen=True, slots=True)
class Selection:
    """`count` rows at the positions `first..last` of `source`, a FROM clause that binds two positions.

    `shared` says that any connection to the same state can read it; a TEMP table belongs to one.
    """

    count: int
    source: str
    first: int
    last: int
    shared: bool

    def spans(self, chunk_rows: int) -> Iterator[tuple[int, int]]:
        """Positions of chunks, both ends included, in order."""
        first, size = self.first, FIRST_CHUNK_ROWS
        while first <= self.last:
            yield first, min(first + size - 1, self.last)
            first, size = first + size, chunk_rows


class Selector:
    """Finds the rows of a query in a snapshot. Runs SQL: call it in a worker thread."""

    def __init__(self, snapshot: Snapshot, schema: TableSchema, query: Query) -> None:
        self._snapshot, self._schema, self._query = snapshot, schema, query
        self._table = identifier(schema.name)
        self._key, self._time = identifier(schema.key), identifier(schema.time)
        self._where, self._values = query.where(schema)

    def count(self) -> int:
        """The number of rows, without a way to read them.

        Raises:
            InputError: the table holds times that are not integers.
        """
        self._check_times()
        facts = self._snapshot.table.facts
        # guard: late rows are not counted by ends
        if facts and facts.time_sorted and facts.ids_contiguous and not self._query.withheld:
            first, last = self._ends()
            return self._limited(last - first + 1)
        return self._limited(self._count_rows())

    def select(self) -> Selection:
        """The rows and how to read them.

        Raises:
            InputError: the table holds times or ids that are not integers.
        """
        self._check_times()
        table = self._snapshot.table
        ordered = table.facts is not None and table.facts.time_sorted
        # guard: late rows are not in a range of ids
        if table.walkable and (ordered or not self._where) and not self._query.withheld:
            return self._range() or self._listed()
        return self._listed()

    def _range(self) -> Selection | None:
        """The rows as a range of ids; None where it would be mostly gaps."""
        facts = self._snapshot.table.facts
        first, last = self._ends()
        contiguous = facts is not None and facts.ids_contiguous
        count = last - first + 1 if contiguous else self._count_rows()
        if last - first + 1 > count * GAPS + FREE_GAPS:
            return None
        limited = self._limited(count)
        if limited < count:
            last = first + limited - 1 if contiguous else self._nth(first, limited)
        return Selection(limited, f"{self._table} NOT INDEXED WHERE {self._key} BETWEEN ? AND ?", first, last, True)

    def _listed(self) -> Selection:
        """The rows in id order by way of a TEMP table: of ids where these find the rows, else of the rows."""
        walkable = self._snapshot.table.walkable
        columns = f"{self._key} AS selected_key" if walkable else ", ".join(map(identifier, self._schema.names))
        # LIMIT -1 means no limit.
        self._run(
            f"CREATE TEMP TABLE selected AS SELECT {columns} FROM main.{self._table} {self._where} "
            f"ORDER BY {self._key} LIMIT ?",
            *self._values,
            -1 if self._query.limit is None else self._query.limit,
        )
        count = self._integer("SELECT coalesce(max(rowid), 0) FROM temp.selected")
        join = f"CROSS JOIN main.{self._table} NOT INDEXED ON {self._key} = selected_key " if walkable else ""
        return Selection(count, f"temp.selected AS s {join}WHERE s.rowid BETWEEN ? AND ?", 1, count, False)

    def _ends(self) -> tuple[int, int]:
        """First and last id; (1, 0) where there is no row."""
        order = f"{self._time}, {self._key}" if self._where else self._key
        descending = order.replace(",", " DESC,") + " DESC"
        query = f"SELECT {self._key} FROM {self._table} {self._where} ORDER BY"
        first = self._run(f"{query} {order} LIMIT 1", *self._values)
        if first is None:
            return 1, 0
        last = self._run(f"{query} {descending} LIMIT 1", *self._values)
        if type(first) is not int or type(last) is not int:
            raise InputError(f"table {self._schema.name} holds a {self._schema.key} that is not an integer.")
        return first, last

    def _count_rows(self) -> int:
        facts = self._snapshot.table.facts
        if facts and not self._where:
            return facts.row_count
        return self._integer(f"SELECT count(*) FROM {self._table} {self._where}", *self._values)

    def _limited(self, count: int) -> int:
        return count if self._query.limit is None else min(count, self._query.limit)

    def _nth(self, first: int, number: int) -> int:
        """The id of the `number`th row from `first` on."""
        return self._integer(
            f"SELECT {self._key} FROM {self._table} NOT INDEXED WHERE {self._key} >= ? "
            f"ORDER BY {self._key} LIMIT 1 OFFSET ?",
            first,
            number - 1,
        )

    def _check_times(self) -> None:
        """NULL sorts before every integer and text after: such a row would be in no window, and lost unnoticed."""
        if not self._where or self._schema.time in self._snapshot.table.trusted:
            return
        for direction in ("ASC", "DESC"):
            kind = self._run(
                f"SELECT typeof({self._time}) FROM {self._table} ORDER BY {self._time} {direction} LIMIT 1"
            )
            if kind not in {None, "integer"}:
                raise InputError(
                    f"table {self._schema.name} holds a {self._schema.time} that is {kind}, not an integer."
                )

    def _run(self, sql: str, *values: int) -> object:
        return self._snapshot.connection.execute(sql, values).get

    def _integer(self, sql: str, *values: int) -> int:
        value = self._run(sql, *values)
        if type(value) is not int:
            raise InputError(f"{sql} gave {value!r}, which is not an integer.")
        return value


def newest(snapshot: Snapshot, schema: TableSchema, query: Query = EVERYTHING) -> tuple[int | None, int]:
    """The latest time and the number of the query's rows; None and 0 where there is no row.

    Raises:
        InputError: the latest time is not an integer.
    """
    table, time = identifier(schema.name), identifier(schema.time)
    where, values = query.where(schema)
    latest = snapshot.connection.execute(f"SELECT max({time}) FROM {table} {where}", values).get
    count = Selector(snapshot, schema, query).count()
    if latest is not None and type(latest) is not int:
        raise InputError(f"table {schema.name} holds a {schema.time} that is not an integer.")
    return latest, count
