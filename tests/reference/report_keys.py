"""docs/reference/report-keys.md: every key of a report's YAML, rendered from the models that read it."""

from flows_platform.declared import Declared
from flows_platform.reports.declaration import (
    Longest,
    ReportCache,
    ReportChart,
    ReportColumn,
    ReportDeclaration,
    ReportLimits,
    ReportUses,
)
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.shorthand import Series, Top
from tests.reference.source_keys import table

MODELS: dict[str, type[Declared]] = {
    "attributes": ReportDeclaration,
    "parameters": ReportParameter,
    "longest": Longest,
    "top": Top,
    "series": Series,
    "columns": ReportColumn,
    "chart": ReportChart,
    "cache": ReportCache,
    "limits": ReportLimits,
    "uses": ReportUses,
}
INTRODUCTION = """\
# Keys of a report

A report is a YAML file, as [Reports](../reports.md#declare-a-report) explains. A key without a default is required."""


def page() -> str:
    """The page: a table for every model, below its heading."""
    tables = (f"## {title}\n\n{table(model, _derived(model))}" for title, model in MODELS.items())
    return "\n\n".join([INTRODUCTION, *tables]) + "\n"


def _derived(model: type[Declared]) -> set[str]:
    """The keys that are derived from the statement."""
    return {"reads"} if model is Longest else set()
