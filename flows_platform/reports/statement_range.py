"""Derives from a statement which range of time it reads from its tables. No I/O.

A window that is published outside that range does not change the answer.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from flows_platform.reports.spans import Reads
from flows_platform.reports.statement import DIALECT
from flows_platform.reports.values import ParameterType


def reads_of(sql: str, instants: Mapping[str, str], parameters: tuple[str, str], kind: ParameterType) -> Reads:
    """Which rows of its tables a statement reads, by their time.

    Args:
        sql: A statement that passed the gate.
        instants: The time column of every table, by the table's name.
        parameters: The names of the parameters that are the start and the end of the range.
        kind: The type of these parameters.
    """
    (statement,) = sqlglot.parse(sql, read=DIALECT)
    assert statement is not None  # noqa: S101 - the gate read it
    found = {
        _reads(table, instants[table.name], _Range(*parameters, kind))
        for table in statement.find_all(exp.Table)
        if table.name in instants
    }
    if not found or Reads.ALL in found:
        return Reads.ALL
    return Reads.THROUGH if Reads.THROUGH in found else Reads.BEFORE


class _Range(NamedTuple):
    first: str
    last: str
    kind: ParameterType


def _reads(table: exp.Table, instant: str, bounds: _Range) -> Reads:
    """Which rows the SELECT around a table reads: its WHERE must bound the table's time column on both sides."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if select is None or where is None:
        return Reads.ALL
    alone = len(list(_sources(select))) == 1
    column = _Instant(instant.lower(), table.alias_or_name, bounds.kind, alone=alone)
    begins, ends = False, set[Reads]()
    for condition in _conjuncts(where.this):
        low, high = _sides(condition, column)
        begins = begins or _names(low, bounds.first, bounds.kind)
        if high is not None:
            ends.update(_end(*high, bounds))
    if not begins or not ends:
        return Reads.ALL
    return Reads.BEFORE if Reads.BEFORE in ends else Reads.THROUGH


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    if from_ := select.args.get("from_"):
        yield from_
    yield from select.args.get("joins") or ()


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that AND joins. Not recursive, since there may be thousands."""
    left = [condition]
    while left:
        match left.pop():
            case exp.Paren(this=inner):
                left.append(inner)
            case exp.And(left=first, right=second):
                left += [second, first]
            case other:
                yield other


class _Instant(NamedTuple):
    """The time column of one table in a SELECT.

    Args:
        name: The column's name, in lower case.
        table: The table's name or alias in the SELECT.
        kind: The type of the range's parameters.
        alone: Whether the SELECT has no other table, so that the column may be written without its table.
    """

    name: str
    table: str
    kind: ParameterType
    alone: bool

    def is_it(self, node: exp.Expr) -> bool:
        """Whether the node is the column or, for a range of days, the column's day."""
        if self.kind is ParameterType.DATE and isinstance(node, exp.Date | exp.TsOrDsToDate) and _only_this(node):
            node = node.this
        if not isinstance(node, exp.Column) or node.name.lower() != self.name:
            return False
        return node.table == self.table or (self.alone and not node.table)


def _only_this(node: exp.Expr) -> bool:
    return not [key for key, value in node.args.items() if value and key not in {"this", "with_tz"}]


def _sides(condition: exp.Expr, column: _Instant) -> tuple[exp.Expr | None, tuple[exp.Expr, Reads] | None]:
    """The lower and the upper bound that a condition sets for the column; None where it sets none."""
    if isinstance(condition, exp.Between) and column.is_it(condition.this):
        return condition.args["low"], (condition.args["high"], Reads.THROUGH)
    if not isinstance(condition, exp.GT | exp.GTE | exp.LT | exp.LTE):
        return None, None
    left, right = condition.left, condition.right
    greater, strict = isinstance(condition, exp.GT | exp.GTE), isinstance(condition, exp.GT | exp.LT)
    if column.is_it(right):
        left, right, greater = right, left, not greater
    if not column.is_it(left):
        return None, None
    return (right, None) if greater else (None, (right, Reads.BEFORE if strict else Reads.THROUGH))


def _end(node: exp.Expr, reads: Reads, bounds: _Range) -> Iterator[Reads]:
    """How the range ends if the node is its upper bound: the end parameter, or the day after it."""
    if _names(node, bounds.last, bounds.kind):
        yield reads
    days = node.this if isinstance(node, exp.Timestamp) and _only_this(node) else node
    if bounds.kind is ParameterType.DATE and isinstance(days, exp.DateAdd) and reads is Reads.BEFORE:
        is_next = days.text("unit").upper() == "DAY" and days.text("expression") == "1"
        if is_next and _names(days.this, bounds.last, bounds.kind):
            yield Reads.THROUGH


def _names(node: exp.Expr | None, parameter: str, kind: ParameterType) -> bool:
    """Whether the node is the parameter or, for a range of days, the instant at which its day begins."""
    if kind is ParameterType.DATE and isinstance(node, exp.Timestamp) and _only_this(node):
        node = node.this
    return isinstance(node, exp.Parameter) and node.name == parameter
