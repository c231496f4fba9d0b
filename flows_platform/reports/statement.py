"""The gate: accepts a text if it is one SELECT that reads only allowed tables, parameters and functions. No I/O.

BigQuery's query call runs any statement, several statements, and scripts. Behind this gate, only the permissions of the
server's account limit what a statement can do.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot import Token, TokenType, exp

from flows_platform.declared import did_you_mean
from flows_platform.reports.functions import FUNCTIONS, OF_NET, WORDS
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.values import ParameterType

DIALECT = "bigquery"
FIRST_WORDS = frozenset({"SELECT", "WITH", "("})  # the parser also accepts `FROM t SELECT a`
IN_OVER = "write the name of a table in `over`, without a dataset and in no function"
DEEPEST = 200  # opening brackets: the parser is recursive
NAMES = {TokenType.VAR, TokenType.IDENTIFIER}
_PARSER = sqlglot.Dialect.get_or_raise(DIALECT).parser_class
# Names that the parser takes for functions, even those that are words of the language.
OF_PARSER = frozenset((*_PARSER.FUNCTIONS, *_PARSER.FUNCTION_PARSERS))
# Their results change although the tables do not, so a cached answer would be wrong.
CHANGING = (
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.CurrentUser,
    exp.Rand,
    exp.Randn,
    exp.SessionUser,
    exp.Uuid,
    exp.TableSample,
)
# Nodes that a statement that only reads does not have. The root is a SELECT; these could still be inside it.
REFUSED = (
    exp.Command,
    exp.DDL,
    exp.DML,
    exp.Drop,
    exp.Alter,
    exp.Into,
    exp.Lock,
    exp.Export,
    exp.Predict,
    exp.ReadCSV,
    exp.ReadParquet,
    exp.SessionParameter,
    exp.Placeholder,
)

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings are about what the gate refuses anyway


@dataclass(frozen=True, slots=True)
class Gate:
    """The limits of a statement.

    Args:
        over: The tables that it may read.
        parameters: The parameters that it may and must use.
        rows: The most rows that its answer may have.
        bounded: Whether the length of its range is limited, so that it needs no LIMIT.
    """

    over: Collection[str]
    parameters: Mapping[str, ReportParameter]
    rows: int
    bounded: bool = False

    def faults(self, sql: str) -> list[str]:
        """What is wrong with a statement; an empty list if it may run."""
        # guard: a report is one statement
        if ";" in sql:
            return ["leave out the semicolon: a report is one statement, and no text in it needs one"]
        if sql.count("(") > DEEPEST or "|>" in sql:
            return [f"a report has no pipes, and at most {DEEPEST} brackets"]
        try:
            (statement,) = sqlglot.parse(sql, read=DIALECT)
            tokens = sqlglot.tokenize(sql, read=DIALECT)
        except Exception as error:  # noqa: BLE001 - the parser fails in many ways: AttributeError for DATE_ADD(a)
            return [_not_sql(error)]
        # guard: a report only reads
        if not isinstance(statement, exp.Select | exp.SetOperation) or tokens[0].text.upper() not in FIRST_WORDS:
            return ["a report is one SELECT, or one WITH that ends in a SELECT"]
        return list(dict.fromkeys([*_of_names(tokens), *_of_calls(tokens), *self._of_statement(statement)]))

    def _of_statement(self, statement: exp.Query) -> Iterator[str]:
        for node in statement.walk():
            yield from _of_node(node)
            if isinstance(node, exp.Table):
                yield from self._of_table(node)
            if isinstance(node, exp.CTE) and node.alias.lower() in {name.lower() for name in self.over}:
                yield f"WITH {node.alias}: a table of that name is in `over`; choose another"
        yield from self._of_parameters(statement)
        yield from self._of_ends(statement)

    def _of_table(self, table: exp.Table) -> Iterator[str]:
        name = table.name
        # guard: a report reads its own tables
        if table.args.get("db") or table.args.get("catalog") or not isinstance(table.this, exp.Identifier):
            yield f"{table.sql(DIALECT)}: {IN_OVER}"
        elif table.args.get("version") or table.args.get("changes"):
            yield f"{name}: a report reads a table as it is now"
        elif name not in self.over and not _is_with(table):
            near = did_you_mean(name, self.over) or "."
            yield f"the table {name!r} is not in `over` ({', '.join(self.over)}){near}"

    def _of_parameters(self, statement: exp.Query) -> Iterator[str]:
        used = {node.name for node in statement.find_all(exp.Parameter)}
        # guard: parameters of a statement are declared
        for name in sorted(used - self.parameters.keys()):
            yield f"@{name} is not one of the parameters{did_you_mean(name, self.parameters) or '.'}"
        for name in self.parameters:
            if name not in used:
                yield f"the parameter {name} is not used: write @{name}, or remove it"

    def _of_ends(self, statement: exp.Query) -> Iterator[str]:
        # guard: the order of rows is declared
        if not statement.args.get("order"):
            yield "ORDER BY is missing at the end: without it rows come in any order, and equal requests differ"
        limit = statement.args.get("limit")
        if limit is None:
            if not self.bounded:
                yield "LIMIT is missing at the end, and no `longest` limits the range: one of the two is needed"
            return
        most = self._limit(limit.expression if isinstance(limit, exp.Limit) else None)
        if most is None:
            yield "LIMIT must be a number, or a parameter of type int64 with a `maximum` and a `minimum` of 0 or more"
        elif most > self.rows:
            yield f"LIMIT may be {most:,}, and `limits.rows` is {self.rows:,}"

    def _limit(self, given: exp.Expr | None) -> int | None:
        if isinstance(given, exp.Literal) and given.is_int:
            return int(given.name)
        parameter = self.parameters.get(given.name) if isinstance(given, exp.Parameter) else None
        if not parameter or parameter.type is not ParameterType.INT64:
            return None
        lowest, highest = parameter.lowest, parameter.highest
        # guard: a LIMIT is never negative
        if not isinstance(lowest, int) or lowest < 0:
            return None
        return highest if isinstance(highest, int) else None


def _of_names(tokens: Sequence[Token]) -> Iterator[str]:
    """Refuse dots in backticks.

    After `flows AS d`, the parser takes `` `d.secrets` `` for a column of d; BigQuery takes it for a table of the
    dataset d.
    """
    for token in tokens:
        # guard: backticks hold one name
        if token.token_type is TokenType.IDENTIFIER and "." in token.text:
            yield f"`{token.text}`: {IN_OVER}"


def _of_calls(tokens: Sequence[Token]) -> Iterator[str]:
    """Refuse calls of functions that are not BigQuery's, by their names as they are written."""
    for index, (token, after) in enumerate(pairwise(tokens)):
        name = token.text.upper()
        if after.token_type is not TokenType.L_PAREN or not (token.token_type in NAMES or name in OF_PARSER):
            continue
        before = [one.text.upper() for one in tokens[max(0, index - 2) : index]]
        allowed = OF_NET if before == ["NET", "."] else FUNCTIONS | WORDS
        # guard: functions of a report are the warehouse's own
        if name not in allowed:
            near = did_you_mean(name, allowed)
            yield f"{token.text}: this is not one of the functions that a report may call{near}"


def _of_node(node: exp.Expr) -> Iterator[str]:
    # guard: a report cannot write
    if isinstance(node, REFUSED):
        yield f"{_brief(node)}: a report only reads tables and `@parameters`"
    # guard: a report's answer depends on its tables alone
    if isinstance(node, CHANGING):
        yield (
            f"{_brief(node)}: the answer would change while the tables do not; "
            "use a parameter with the default {{ newest }}"
        )
    if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
        yield "* is not a list of columns: name them, so that a new column of the table changes no answer"
    if isinstance(node, exp.With) and node.recursive:
        yield "WITH RECURSIVE may never end: a report has none"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        yield f"{_brief(node)}: functions of a dataset may call out of the warehouse"


def _is_with(table: exp.Table) -> bool:
    """Whether the name refers to a WITH that is visible here: of an enclosing query, or earlier in the same list."""
    node: exp.Expr | None = table
    while node is not None and (parent := node.parent) is not None:
        before: Sequence[exp.Expr] = ()
        if isinstance(parent, exp.With):  # `node` is one of its list: only those before it are visible
            before = parent.expressions[: node.index]
        elif isinstance(with_ := parent.args.get("with_"), exp.With) and node is not with_:
            before = with_.expressions
        if any(table.name == cte.alias for cte in before):
            return True
        node = parent
    return False


def _brief(node: exp.Expr) -> str:
    return node.sql(DIALECT)[:60]


def _not_sql(error: Exception) -> str:
    found = getattr(error, "errors", None)
    if not found:
        return "this cannot be read as one statement of BigQuery's SQL"
    first = found[0]
    near = f"{first.get('start_context', '')[-20:]}{first.get('highlight', '')}"
    description = str(first.get("description", "")).rstrip(".")
    return f"line {first.get('line')} of the statement, after {near!r}: {description}"
