"""docs/apis.md: the APIs that it lists as shipped are those that there are, and every API is listed once."""

import re
from pathlib import Path

import pytest

from flows_platform.cli.commands.source_add import library
from flows_platform.cli.commands.source_check import run_check
from flows_platform.components.source_files import SHIPPED

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "apis.md"
TESTED = Path(__file__).with_name("tested.yaml")
COUNT = 47


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading."""
    text = DOCUMENT.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.+) \|$", text.replace("| |", "|  |"), re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [line for line in cells if line[0] not in {"File", "Source", "API"}]


def state(line: list[str]) -> str:
    """The state in the cells of an API, without its reason."""
    return re.split("[;:]", line[2])[0]


def test_the_shipped_apis_are_those_of_the_library_and_the_sources() -> None:
    named = [line[0].strip("`") for line in rows("Shipped")]
    assert named == [*library(), *sorted(SHIPPED.keys() - {"lanl_flows", "tpch_orders"})]


def test_every_api_is_listed_once_and_has_a_state() -> None:
    others = rows("Others")
    apis = [line[1] for line in rows("Shipped")] + [line[0] for line in others]
    assert len(set(apis)) == len(apis) == COUNT
    assert f"\n{COUNT} documented APIs" in DOCUMENT.read_text()
    assert {state(line) for line in others} == {"tested", "not possible"}


def test_every_tested_api_has_a_declaration_without_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    declared = re.findall(r"^# (.+)\ntype:", TESTED.read_text(), re.MULTILINE)
    assert declared == [line[0] for line in rows("Others") if state(line) == "tested"]
    assert run_check([str(TESTED)]), capsys.readouterr().out
    assert f", {len(declared)} tables: no faults." in capsys.readouterr().out
