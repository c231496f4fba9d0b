"""docs/contributing.md: the files that it names exist, and a column type is declared in no others."""

import re
from pathlib import Path

from flows_platform.domain.schema import ColumnType

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "contributing.md").read_text()
PLACEHOLDER = "/NAME/"
SOURCES = [*(ROOT / "flows_platform").rglob("*.py"), *(ROOT / "api_server").rglob("*.py")]


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`((?:flows_platform|api_server|tests)/[\w/.]+)`", TEXT)
    assert len(named) > 25
    assert [path for path in named if PLACEHOLDER not in path and not (ROOT / path).exists()] == []


def test_a_column_type_is_declared_in_the_files_that_it_names() -> None:
    section = TEXT.partition("## Add a column type")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([\w/.]+\.py)`", section, re.MULTILINE))
    entry = re.compile(rf"^    ColumnType\.{ColumnType.BOOL.name}:|^    {ColumnType.BOOL.name} = ", re.MULTILINE)
    assert named == {str(path.relative_to(ROOT)) for path in SOURCES if entry.search(path.read_text())}
