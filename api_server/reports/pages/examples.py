"""Examples of a request for a report: a curl command, a Python program, and the statement that ran."""

import shlex
from collections.abc import Mapping
from keyword import iskeyword
from typing import NamedTuple
from urllib.parse import urlencode

from api_server.reports import paths as api
from api_server.reports.pages.fields import joined
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import KINDS, Value

PYTHON = """\
from flows_platform.client import Reports

with Reports({url!r}{token}) as reports:
    table = reports.get({arguments})
print(table)
"""
AUTHORIZE = ', os.environ["TOKEN"]'


class Example(NamedTuple):
    """An example with its title."""

    title: str
    text: str


def examples(
    report: ReportDeclaration, base: str, given: Mapping[str, str], values: Mapping[str, Value], *, secured: bool
) -> list[Example]:
    """The examples of a request.

    Args:
        report: The report.
        base: The server's URL.
        given: The parameters of the request.
        values: The values of all parameters, defaults included.
        secured: Whether requests need a token.
    """
    curl = _command(f"{base}{api.LIST}/{report.name}.csv{f'?{urlencode(given)}' if given else ''}", secured=secured)
    return [
        Example("As curl", curl),
        Example("As Python", _program(report.name, base, given, secured=secured)),
        Example("As SQL", _statement(report, values)),
    ]


def _command(url: str, *, secured: bool) -> str:
    header = '--header "Authorization: Bearer $TOKEN" ' if secured else ""
    return f"curl --fail-with-body --compressed {header}{shlex.quote(url)}"


def _program(name: str, base: str, given: Mapping[str, str], *, secured: bool) -> str:
    named = {key: value for key, value in given.items() if not iskeyword(key)}
    others = {key: value for key, value in given.items() if iskeyword(key)}
    arguments = [repr(name), *(f"{key}={value!r}" for key, value in named.items())]
    joined_up = ", ".join([*arguments, *([f"**{others!r}"] if others else [])])
    program = PYTHON.format(url=base, token=AUTHORIZE if secured else "", arguments=joined_up)
    return f"import os\n\n{program}" if secured else program


def _statement(report: ReportDeclaration, values: Mapping[str, Value]) -> str:
    """The statement, with the values that are bound to it as comments above."""
    lines = [f"-- @{one.name} {KINDS[one.type].bigquery}: {joined(values[one.name])}" for one in report.parameters]
    return "\n".join([*lines, (report.sql or "").strip(), ""])
