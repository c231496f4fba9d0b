"""docs/recipes.md: every fragment, put into a small source, is a declaration without a fault."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows_platform.cli.commands.source_check import run_check

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (DOCUMENT.read_text()[: found.start()].count("\n") + 2, found[1]) for found in BLOCK.finditer(DOCUMENT.read_text())
]
INSTEAD = {"snapshot": "time", "job": "url"}  # keys, and those that they replace
BASE = """
type: flows_platform.components.WindowedApiTable
attributes:
  name: recipe
  api:
    url: https://api.example/v1/events
    format: json
    records: data
    time: {after: from, before: to}
  columns:
    - {name: id, required: true}
    - {name: at, type: timestamp, required: true}
  time: at
  key: id
  partitions: {cron: 0 0 * * *, start: 2024-01-01T00:00:00}
"""


def source(fragment: dict[str, Any]) -> dict[str, Any]:
    """The small source with the keys of a fragment instead of its own."""
    whole: dict[str, Any] = yaml.safe_load(BASE)
    attributes = whole["attributes"]
    api, columns = fragment.pop("api", {}), fragment.pop("columns", [])
    attributes["api"] |= api
    for key in [instead for given, instead in INSTEAD.items() if given in api]:
        del attributes["api"][key]
    given = {column["name"] for column in columns}
    attributes["columns"] = columns + [column for column in attributes["columns"] if column["name"] not in given]
    return whole | {"attributes": attributes | fragment}


def test_the_page_has_the_recipes() -> None:
    assert len(BLOCKS) > 40


@pytest.mark.parametrize(("line", "text"), BLOCKS, ids=[f"line-{line}" for line, _ in BLOCKS])
def test_a_fragment_is_valid(
    line: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(yaml.safe_dump(source(yaml.safe_load(text)), sort_keys=False))
    assert run_check(["recipe.yaml"]), f"{DOCUMENT.name}:{line}: {capsys.readouterr().out}"
