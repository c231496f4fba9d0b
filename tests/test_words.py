"""No document uses a retired word. docs/contributing.md lists the words and what to write instead."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RETIRED = re.compile(
    r"(?<!there )\bis no (?!longer)|\bnone of\b|\btold\b|\btells?\b|\bstands\b|\brests\b|\blies\b|\banew\b|\blet go\b"
    r"|\bset aside\b|\blikewise\b|\bmend\b|\bwall's\b|\bstaged files?\b|\breplay(s|ed)?\b|\bdrift\b",
    re.IGNORECASE,
)
# The list of words itself, what the code says, and releases as they were.
LISTS = {"contributing.md", "commands.md", "python.md", "settings.md", "source-keys.md"}
DOCUMENTS = [
    path
    for path in [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")), *ROOT.glob("docs/**/*.md")]
    if path.name not in LISTS
]


def prose(text: str) -> str:
    """A document without its code and link targets."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_retired_word_is_used(path: Path) -> None:
    lines = prose(path.read_text()).splitlines()
    assert [line for line in lines if RETIRED.search(line)] == []
