"""A request of a report as a command, as a program, and as the statement that the warehouse ran."""

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from api_server.reports.pages.fields import joined
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import KINDS, Value

PYTHON = """\
import os
import urllib.request

import pyarrow as pa

request = urllib.request.Request({url!r})
{token}with urllib.request.urlopen(request) as answer:
    table = pa.ipc.open_stream(answer.read()).read_all()
print(table)
"""
AUTHORIZE = 'request.add_header("Authorization", "Bearer " + os.environ["TOKEN"])\n'


class Example(NamedTuple):
    """A way to ask."""

    title: str
    text: str


def examples(
    report: ReportDeclaration, url: str, query: str, values: Mapping[str, Value], *, secured: bool
) -> list[Example]:
    """The ways to ask for these values.

    Args:
        report: The report.
        url: Its URL in the API.
        query: The parameters that were given, percent-encoded.
        values: All values, defaults included.
        secured: Whether requests need a token.
    """
    asked = f"?{query}" if query else ""
    header = ["--header", "Authorization: Bearer $TOKEN"] if secured else []
    quoted = [f'"{word}"' if "$" in word else word for word in header]
    curl = " ".join(["curl --fail-with-body --compressed", *quoted, shlex.quote(f"{url}.csv{asked}")])
    python = PYTHON.format(url=f"{url}.arrow{asked}", token=AUTHORIZE if secured else "")
    if not secured:
        python = python.removeprefix("import os\n")
    return [Example("As curl", curl), Example("As Python", python), Example("As SQL", _statement(report, values))]


def _statement(report: ReportDeclaration, values: Mapping[str, Value]) -> str:
    """The statement below its parameters, which are bound to it."""
    lines = [f"-- @{one.name} {KINDS[one.type].bigquery}: {joined(values[one.name])}" for one in report.parameters]
    return "\n".join([*lines, (report.sql or "").strip(), ""])
