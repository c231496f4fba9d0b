"""The gate of statements: everything but one reading statement over the report's own tables is refused."""

import pytest

from flows_platform.reports.functions import FUNCTIONS, WORDS
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.statement import OF_PARSER, Gate

START = ReportParameter.model_validate({"name": "start", "type": "timestamp"})
TOP = ReportParameter.model_validate({"name": "top", "type": "int64", "minimum": 1, "maximum": 10})
GATE = Gate(["flows", "hosts"], {"start": START, "top": TOP}, rows=100)
PLAIN = Gate(["flows", "hosts"], {}, rows=100)
BOUNDED = Gate(["flows"], {}, rows=100, bounded=True)

GOOD = [
    "SELECT a FROM flows ORDER BY a LIMIT 5",
    "SELECT f.a, COUNT(*) AS n FROM `flows` AS f JOIN hosts AS h ON h.a = f.a GROUP BY 1 ORDER BY n DESC LIMIT 100",
    "WITH x AS (SELECT a FROM flows), y AS (SELECT a FROM x) SELECT a FROM y ORDER BY a LIMIT 1",
    "SELECT a FROM (WITH x AS (SELECT a FROM hosts) SELECT a FROM x) ORDER BY a LIMIT 1",
    "SELECT a FROM flows UNION ALL SELECT a FROM hosts ORDER BY a LIMIT 9",
    "-- the first\nSELECT a, '@x', r'--' FROM flows # all\nORDER BY a LIMIT 9",
    "SELECT TIMESTAMP_TRUNC(a, DAY) AS d, SAFE_DIVIDE(b, c) AS r, NET.HOST(u) AS h FROM flows ORDER BY d LIMIT 9",
    "SELECT x FROM flows, UNNEST([1, 2]) AS x ORDER BY x LIMIT 9",
    "SELECT SAFE.SUBSTR(a, 1) AS a, `sum`(b) AS b, NET.IP_TRUNC(c, 8) AS c FROM flows ORDER BY a LIMIT 9",
    (
        "SELECT DATE_TRUNC(a, WEEK(MONDAY)) AS a, b[SAFE_OFFSET(0)] AS b, CAST(c AS NUMERIC(10, 2)) AS c, "
        "CAST(d AS STRING(3)) AS d FROM flows WHERE NOT (a IN (b) OR (c) IS NULL) AND (EXISTS (SELECT 1)) "
        "ORDER BY a LIMIT 9"
    ),
    (
        "SELECT CASE (a) WHEN (b) THEN (c) ELSE (d) END AS a, STRUCT<x INT64>(1) AS b, ARRAY<INT64>[1] AS c FROM flows "
        "GROUP BY ROLLUP(a) QUALIFY (a) ORDER BY a LIMIT 9"
    ),
    (
        "(SELECT IF(a, b, c) AS a FROM flows JOIN (SELECT a FROM hosts) AS h USING (a) WHERE (a) BETWEEN (1) AND (2)) "
        "UNION ALL (SELECT COUNT(DISTINCT (a)) AS a FROM flows WINDOW w AS (PARTITION BY a)) ORDER BY a LIMIT 9"
    ),
    "SELECT a, SUM(b) OVER (PARTITION BY a ORDER BY c) AS s FROM flows ORDER BY a LIMIT 9",
]
# guard of each: what is refused, and a phrase of the reason
BAD = {
    "SELECT a FROM flows ORDER BY a LIMIT 1; DROP TABLE flows": "leave out the semicolon",
    "SELECT ';' AS a FROM flows ORDER BY a LIMIT 1": "leave out the semicolon",
    "DROP TABLE flows": "one SELECT",
    "DELETE FROM flows WHERE TRUE": "one SELECT",
    "UPDATE flows SET a = 1 WHERE TRUE": "one SELECT",
    "INSERT INTO flows (a) SELECT 1": "one SELECT",
    "MERGE flows USING hosts ON FALSE WHEN NOT MATCHED THEN INSERT (a) VALUES (1)": "one SELECT",
    "TRUNCATE TABLE flows": "one SELECT",
    "CREATE TABLE x AS SELECT a FROM flows": "one SELECT",
    "CREATE TEMP FUNCTION f() AS (1)": "one SELECT",
    "ALTER TABLE flows ADD COLUMN b INT64": "one SELECT",
    "GRANT `roles/owner` ON TABLE flows TO 'user:x@y.z'": "",
    "EXPORT DATA OPTIONS(uri='gs://x/*') AS SELECT a FROM flows": "one SELECT",
    "LOAD DATA INTO flows FROM FILES (uris=['gs://x'])": "",
    "CALL p()": "one SELECT",
    "EXECUTE IMMEDIATE 'DROP TABLE flows'": "one SELECT",
    "DECLARE x INT64 DEFAULT 1": "one SELECT",
    "SET x = 1": "one SELECT",
    "BEGIN SELECT 1": "one SELECT",
    "FROM flows SELECT a ORDER BY a LIMIT 1": "one SELECT",
    "FROM flows |> SELECT a |> ORDER BY a |> LIMIT 1": "no pipes",
    "": "",
    "SELECT": "",
    "SELECT a FROM": "",
    "SELECT 'a FROM flows ORDER BY a LIMIT 1": "",
    "SELECT * FROM flows ORDER BY a LIMIT 1": "* is not a list of columns",
    "SELECT f.* FROM flows AS f ORDER BY a LIMIT 1": "* is not a list of columns",
    "SELECT * EXCEPT (a) FROM flows ORDER BY b LIMIT 1": "* is not a list of columns",
    "SELECT a FROM flow ORDER BY a LIMIT 1": "the table 'flow' is not in `over` (flows, hosts); did you mean flows?",
    "SELECT a FROM FLOWS ORDER BY a LIMIT 1": "is not in `over`",
    "SELECT a FROM d.flows ORDER BY a LIMIT 1": "without a dataset",
    "SELECT a FROM `p.d.flows` ORDER BY a LIMIT 1": "without a dataset",
    "SELECT a FROM `d.flows` ORDER BY a LIMIT 1": "without a dataset",
    # BigQuery takes backticks for one name, which cannot be a path of an alias: this is the table of a dataset.
    "SELECT a FROM flows AS d CROSS JOIN `d.secrets` ORDER BY a LIMIT 1": "without a dataset",
    "SELECT a FROM flows AS d, `p.d.secrets` AS s ORDER BY a LIMIT 1": "without a dataset",
    "SELECT a FROM INFORMATION_SCHEMA.TABLES ORDER BY a LIMIT 1": "is not in `over`",
    "SELECT a FROM `flows*` ORDER BY a LIMIT 1": "is not in `over`",
    "SELECT (SELECT MAX(a) FROM secrets) AS a FROM flows ORDER BY a LIMIT 1": "'secrets' is not in `over`",
    "SELECT a FROM flows WHERE a IN (SELECT a FROM secrets) ORDER BY a LIMIT 1": "'secrets' is not in `over`",
    "SELECT a FROM flows UNION ALL SELECT a FROM secrets ORDER BY a LIMIT 1": "'secrets' is not in `over`",
    # The table of that name, not the WITH: it is not visible inside itself, before itself, or beside its query.
    "WITH secrets AS (SELECT a FROM secrets) SELECT a FROM secrets ORDER BY a LIMIT 1": "'secrets' is not in `over`",
    "WITH x AS (SELECT a FROM y), y AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a LIMIT 1": "'y' is not in `over`",
    "SELECT a FROM (WITH s AS (SELECT 1 AS a) SELECT a FROM s) JOIN s ON TRUE ORDER BY a LIMIT 1": "'s' is not in",
    "WITH flows AS (SELECT 1 AS a) SELECT a FROM flows ORDER BY a LIMIT 1": "a table of that name is in `over`",
    "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a FROM x) SELECT a FROM x ORDER BY a LIMIT 1": "RECURSIVE",
    "SELECT a FROM EXTERNAL_QUERY('c', 'SELECT 1') ORDER BY a LIMIT 1": "in no function",
    "SELECT a FROM ML.PREDICT(MODEL m, TABLE flows) ORDER BY a LIMIT 1": "",
    "SELECT a FROM read_csv('/etc/passwd') ORDER BY a LIMIT 1": "in no function",
    "SELECT a FROM '/etc/passwd' ORDER BY a LIMIT 1": "",
    "SELECT a FROM APPENDS(TABLE flows, NULL, NULL) ORDER BY a LIMIT 1": "",
    "SELECT a FROM flows FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01' ORDER BY a LIMIT 1": "as it is now",
    "SELECT a FROM flows TABLESAMPLE SYSTEM (10 PERCENT) ORDER BY a LIMIT 1": "would change while",
    "SELECT own(a) AS b FROM flows ORDER BY b LIMIT 1": "own: this is not one of the functions",
    "SELECT d.own(a) AS b FROM flows ORDER BY b LIMIT 1": "may call out of the warehouse",
    "SELECT p.d.own(a) AS b FROM flows ORDER BY b LIMIT 1": "may call out of the warehouse",
    "SELECT SAFE.own(a) AS b FROM flows ORDER BY b LIMIT 1": "own: this is not one of the functions",
    "SELECT NET.own(a) AS b FROM flows ORDER BY b LIMIT 1": "own: this is not one of the functions",
    "SELECT HOST(a) AS b FROM flows ORDER BY b LIMIT 1": "HOST: this is not one of the functions",
    "SELECT `split_part`(a, '/', 1) AS b FROM flows ORDER BY b LIMIT 1": "split_part: this is not one of the functions",
    "SELECT NVL(a, b) AS b FROM flows ORDER BY b LIMIT 1": "NVL: this is not one of the functions",
    "SELECT DateAdd(a, b) AS b FROM flows ORDER BY b LIMIT 1": "DateAdd: this is not one of the functions that a "
    "report may call; did you mean DATE_ADD?",
    "SELECT SUM(a) FILTER (WHERE b) AS b FROM flows ORDER BY b LIMIT 1": "FILTER: this is not one of the functions",
    "SELECT getenv('HOME') AS b FROM flows ORDER BY b LIMIT 1": "getenv: this is not one of the functions",
    "SELECT CURRENT_TIMESTAMP() AS b FROM flows ORDER BY b LIMIT 1": "would change while the tables do not",
    "SELECT CURRENT_DATE AS b FROM flows ORDER BY b LIMIT 1": "would change while the tables do not",
    "SELECT RAND() AS b FROM flows ORDER BY b LIMIT 1": "would change while the tables do not",
    "SELECT GENERATE_UUID() AS b FROM flows ORDER BY b LIMIT 1": "would change while the tables do not",
    "SELECT SESSION_USER() AS b FROM flows ORDER BY b LIMIT 1": "would change while the tables do not",
    "SELECT @@project_id AS b FROM flows ORDER BY b LIMIT 1": "@project_id is not one of the parameters",
    "SELECT ? AS b FROM flows ORDER BY b LIMIT 1": "only reads",
    "SELECT a INTO x FROM flows ORDER BY a LIMIT 1": "only reads",
    "SELECT @nothing AS a FROM flows ORDER BY a LIMIT 1": "@nothing is not one of the parameters",
    "SELECT a FROM flows LIMIT 1": "ORDER BY is missing",
    "SELECT a FROM (SELECT a FROM flows ORDER BY a) LIMIT 1": "ORDER BY is missing",
    "SELECT a FROM flows ORDER BY a": "LIMIT is missing",
    "SELECT a FROM flows ORDER BY a LIMIT 101": "LIMIT may be 101, and `limits.rows` is 100",
    "SELECT a FROM flows ORDER BY a LIMIT 1 + 1": "",
    f"SELECT {'(' * 300}1{')' * 300} AS a FROM flows ORDER BY a LIMIT 1": "at most 200 brackets",
}


@pytest.mark.parametrize("sql", GOOD)
def test_reading_statements_pass(sql: str) -> None:
    assert PLAIN.faults(sql) == []


@pytest.mark.parametrize(("sql", "why"), BAD.items())
def test_others_are_refused(sql: str, why: str) -> None:
    faults = PLAIN.faults(sql)
    assert faults
    assert why in "\n".join(faults)


def test_a_function_that_bigquery_lacks_is_refused_however_well_the_parser_knows_it() -> None:
    others = sorted(OF_PARSER - FUNCTIONS - WORDS)
    assert len(others) > 300
    for name in others:
        sql = f"SELECT {name}(a, b) AS c FROM flows ORDER BY c LIMIT 1"
        assert PLAIN.faults(sql), sql


def test_every_function_of_the_list_is_read() -> None:
    refused = {name: PLAIN.faults(f"SELECT {name}(a) AS c FROM flows ORDER BY c LIMIT 1") for name in FUNCTIONS}
    assert not [name for name, faults in refused.items() if any("not one of the functions" in why for why in faults)]


def test_parameters_are_declared_and_used() -> None:
    assert GATE.faults("SELECT a FROM flows WHERE t >= @start ORDER BY a LIMIT @top") == []
    assert GATE.faults("SELECT a FROM flows ORDER BY a LIMIT @top") == [
        "the parameter start is not used: write @start, or remove it"
    ]
    (first, second) = GATE.faults("SELECT a FROM flows WHERE t >= @strat ORDER BY a LIMIT @top")
    assert first == "@strat is not one of the parameters; did you mean start?"
    assert second.startswith("the parameter start is not used")
    # In a text or a comment it is not a parameter.
    assert "not used" in GATE.faults("SELECT '@start' AS a FROM flows ORDER BY a LIMIT @top -- @start")[0]


def test_a_limit_is_bounded() -> None:
    sql = "SELECT a FROM flows WHERE t >= @start ORDER BY a LIMIT {}"
    assert "LIMIT must be a number" in GATE.faults(sql.format("@start"))[1]
    high = Gate(["flows"], {"start": START, "top": TOP}, rows=9)
    assert high.faults(sql.format("@top")) == ["LIMIT may be 10, and `limits.rows` is 9"]
    endless = TOP.model_copy(update={"maximum": None})
    unbounded = Gate(["flows"], {"start": START, "top": endless}, rows=9)
    assert "with a `maximum`" in unbounded.faults(sql.format("@top"))[0]
    for least in (None, "-1"):
        negative = Gate(["flows"], {"start": START, "top": TOP.model_copy(update={"minimum": least})}, rows=10)
        assert "a `minimum` of 0 or more" in negative.faults(sql.format("@top"))[0]


def test_a_range_of_limited_length_needs_no_limit() -> None:
    assert BOUNDED.faults("SELECT a FROM flows ORDER BY a") == []
