"""Reports in YAML: every mistake is reported by file, line and key; other files and tables are not affected."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows_platform.components.catalog import tables_at
from flows_platform.components.loader import REPORT, declared_in
from flows_platform.components.report import read_reports
from flows_platform.domain.errors import ConfigurationError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import BadParameter, values_of
from flows_platform.settings import Settings

from .conftest import NEWEST, ORDERS, changed

TABLES = {"orders": ORDERS}


def written(path: Path, *declarations: dict[str, Any]) -> Path:
    documents = [{"type": REPORT.component, "attributes": one} for one in declarations]
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return path


def line_of(path: Path, start: str) -> int:
    return next(index for index, line in enumerate(path.read_text().splitlines(), 1) if line.strip().startswith(start))


def test_a_file_may_declare_several(tmp_path: Path) -> None:
    path = written(tmp_path / "a.report.yaml", changed(), changed(name="second"))
    assert [report.name for report in declared_in(path, REPORT)] == ["top_customers", "second"]
    assert tables_at(path, Settings()) == []


SQL = changed()["sql"]


@pytest.mark.parametrize(
    ("changes", "at", "why"),
    [
        ({"sql": f"{SQL}; DROP TABLE orders"}, "sql:", "sql: leave out the semicolon"),
        ({"sql": "DELETE FROM orders WHERE TRUE"}, "sql:", "sql: a report is one SELECT"),
        ({"sql": SQL.replace("FROM orders", "FROM order_items")}, "sql:", "'order_items' is not in `over` (orders)"),
        ({"sql": SQL.replace("@least", "@lest")}, "sql:", "@lest is not one of the parameters; did you mean least?"),
        ({"sql": SQL.replace(" ORDER BY total DESC, customer", "")}, "sql:", "ORDER BY is missing"),
        ({"limits": {"rows": 99}}, "sql:", "LIMIT may be 100, and `limits.rows` is 99"),
        (
            {"longest": {"parameters": ["start", "until"], "days": 3}},
            "- until",
            "'until' is not a parameter with a date",
        ),
        (
            {"chart": {"x": "customer", "y": "sum"}},
            "y: sum",
            "chart.y: 'sum' is not one of the columns (customer, total",
        ),
        ({"colums": []}, "colums:", "colums: there is no such key; did you mean columns?"),
        ({"cache": {"second": 3}}, "second:", "cache.second is '3': there is no such key; did you mean seconds?"),
        ({"limits": {"rows": 0}}, "rows:", "limits.rows is '0': Input should be greater than or equal to 1"),
        (
            {"top": {"of": "orders", "by": "customer"}},
            "top:",
            "top: exactly one of `sql`, `top` and `series` is needed",
        ),
        ({"columns": [{"name": "a", "type": "text"}]}, "type: text", "columns.0.type is 'text'"),
        ({"columns": [{"name": "a", "type": "json"}]}, "type: json", "columns.0.type: a report has no json columns"),
        (
            {"columns": [{"name": "a", "type": "int64", "decimals": 2}]},
            "decimals:",
            "a column of type int64 has no `dec",
        ),
        ({"paths": ["/a", "/b/{staart}"]}, "- /b", "paths.1: 'staart' is not a parameter with a single value; did you"),
        ({"paths": ["/a/{customers}"]}, "- /a", "paths.0: 'customers' is not a parameter with a single value"),
        ({"paths": ["/a/{top}/{top}"]}, "- /a", "paths.0: a parameter comes twice"),
        ({"paths": ["/api/v1/reports"]}, "- /api", "paths.0: it must not begin with /api"),
        ({"paths": ["/{top}"]}, "- /", "paths.0: it must not begin with /{top}"),
        ({"paths": ["a/b"]}, "- a/b", "paths.0 is 'a/b': a path is needed, such as /connector/clerk/{clerk}"),
        ({"columns": []}, "columns:", "columns: `columns` is missing: `sql` needs it"),
        ({"name": "Top Customers"}, "name: Top", "name is 'Top Customers'"),
        ({"name": "read"}, "name: read", "name: `reports:read` is the scope of all reports"),
    ],
)
def test_mistakes_are_reported_by_line_and_key(tmp_path: Path, changes: dict[str, Any], at: str, why: str) -> None:
    path = written(tmp_path / "a.report.yaml", changed(**changes))
    with pytest.raises(ConfigurationError) as caught:
        declared_in(path, REPORT)
    lines = [line for line in str(caught.value).splitlines() if why in line]
    assert lines, str(caught.value)
    assert lines[0].startswith(f"{path}:{line_of(path, at)}: ")


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    path = written(tmp_path / "a.report.yaml", changed(sql="SELECT * FROM x, y"), changed(colums=[]))
    with pytest.raises(ConfigurationError) as caught:
        declared_in(path, REPORT)
    assert "'x' is not in `over`" in str(caught.value)
    assert "* is not a list of columns" in str(caught.value)
    assert "colums" in str(caught.value)


def test_a_bad_report_leaves_the_others(tmp_path: Path) -> None:
    written(
        tmp_path / "a.yaml",
        changed(),
        changed(name="far", over=["elsewhere"], sql=SQL.replace("orders\n", "elsewhere\n")),
    )
    written(tmp_path / "b.yaml", changed(sql="DROP TABLE orders"))
    written(tmp_path / "c.yaml", changed(), changed(name="good"))
    short = {"name": "short", "description": "d", "top": {"of": "orders", "by": "custmer"}}
    written(tmp_path / "d.yaml", short)
    found = read_reports(Settings(sources=str(tmp_path)), TABLES)
    assert [report.name for report in found.reports] == ["top_customers", "good"]
    messages = [fault.message for fault in found.faults]
    second = line_of(tmp_path / "a.yaml", "- elsewhere")
    assert messages[0] == (
        f"{tmp_path}/a.yaml:{second}: over.0: there is no table 'elsewhere'. The report far is left out."
    )
    assert "b.yaml:" in messages[1]
    assert f"{tmp_path}/c.yaml:3: name: another report has this name" in messages[2]
    assert f"d.yaml:{line_of(tmp_path / 'd.yaml', 'by:')}: top.by: 'custmer' is not a column of orders" in messages[3]
    assert "did you mean customer?" in messages[3]


def test_a_report_that_the_gate_refuses_leaves_the_others_of_its_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.yaml",
        changed(name="first"),
        changed(name="wrong", sql=SQL.replace(" ORDER BY total DESC, customer", ""), colums=[]),
        changed(name="far", over=["elsewhere"], sql=SQL.replace("orders\n", "elsewhere\n")),
        changed(name="unread", sql=SQL.replace("SUM(price)", "DATE_ADD(price)")),
        changed(name="Last One"),
        changed(name=3),
        changed(name="good"),
    )
    found = read_reports(Settings(sources=str(tmp_path)), TABLES)
    assert [report.name for report in found.reports] == ["first", "good"]
    assert [origin.number for origin in found.origins] == [0, 6]
    names = [fault.message.rpartition(" The report ")[2] for fault in found.faults]
    assert names[:3] == ["wrong is left out.", "unread is left out.", "Last One is left out."]
    assert "is left out" not in found.faults[3].message
    assert found.faults[4].message.endswith("there is no table 'elsewhere'. The report far is left out.")
    assert f"{path}:{line_of(path, 'colums:')}: colums: there is no such key" in found.faults[0].message
    with pytest.raises(ConfigurationError, match="colums"):
        declared_in(path, REPORT)


def test_two_reports_have_no_common_path(tmp_path: Path) -> None:
    first, second = changed(paths=["/a/{top}/b"]), changed(name="second", paths=["/c", "/a/{least}/b"])
    path = written(tmp_path / "a.yaml", first, second)
    (fault,) = read_reports(Settings(sources=str(tmp_path)), TABLES).faults
    line = line_of(path, "- /a/{least}/b")
    assert fault.message == (
        f"{path}:{line}: paths.1: the report top_customers has this path. The report second is left out."
    )


def test_a_fault_of_what_a_short_form_is_written_out_to_has_its_line(tmp_path: Path) -> None:
    short = {"name": "n", "description": "d", "top": {"of": "orders", "by": "customer"}, "paths": ["/a/{topp}"]}
    path = written(tmp_path / "a.yaml", short)
    (fault,) = read_reports(Settings(sources=str(tmp_path)), TABLES).faults
    assert fault.message.startswith(f"{path}:{line_of(path, '- /a')}: paths.0: 'topp' is not a parameter")


def test_a_sum_must_be_exact() -> None:
    short = {"name": "n", "description": "d", "series": {"of": "orders", "sum": "customer"}}
    with pytest.raises(ConfigurationError, match=r"series\.sum: 'customer' has no exact sum"):
        ReportDeclaration.model_validate(short).expanded(TABLES)


def test_ranges_have_a_direction_and_a_length(report: ReportDeclaration) -> None:
    def check(start: str, end: str) -> None:
        report.check_range(values_of(report.parameters, {"start": start, "end": end}, NEWEST))

    check("2024-01-01", "2024-01-01")
    check("2024-01-01", "2025-01-01")
    with pytest.raises(BadParameter, match="end is before start"):
        check("2024-01-02", "2024-01-01")
    with pytest.raises(BadParameter, match="the range from start to end is 367 days long"):
        check("2024-01-01", "2025-01-01T00:00:01Z")


def test_any_change_of_a_declaration_changes_its_digest(report: ReportDeclaration) -> None:
    same = ReportDeclaration.model_validate(changed())
    other = ReportDeclaration.model_validate(changed(sql=SQL.replace("DESC", "ASC")))
    assert report.digest == same.digest != other.digest


def test_a_copy_has_a_digest_of_its_own(report: ReportDeclaration) -> None:
    before = report.digest
    copied = report.model_copy(update={"description": "Another."})
    assert copied.digest == ReportDeclaration.model_validate(changed(description="Another.")).digest != before
    other = report.model_copy(update={"name": "other"}, deep=True)
    assert (report.schema_of_rows.name, other.schema_of_rows.name) == ("top_customers", "other")


def test_what_the_statement_reads_is_in_the_digest(report: ReportDeclaration) -> None:
    unread = report.digest
    expanded = report.expanded(TABLES)
    assert expanded.digest != unread
    sent = expanded.model_dump_json(exclude_unset=True)
    assert expanded.digest == ReportDeclaration.model_validate_json(sent).digest
