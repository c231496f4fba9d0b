"""No text of the project uses a retired word. docs/contributing.md lists what to write instead."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A retired word, with the terms of the field that contain it and stay.
RETIRED = {
    r"\bis no\b": r"\bthere is no\b|\bis no longer\b",
    r"\bnone of\b": "",
    r"\btold\b|\btells?\b": "",
    r"\bstands\b|\brests\b|\blies\b|\bmends?\b|\bmended\b": "",
    r"\banew\b|\blikewise\b|\bof no use\b|\bof use\b": "",
    r"\blet go\b|\bset aside\b": "",
    r"\bwall's\b": "",
    r"\breplay(s|ed|ing)?\b": r"\breplay\\*\.json\b|\breplay: true\b|\bFROM replayed\b|\bflows alerts replay\b"
    r"|\balerts:replay\b",
    r"\bstaged\b|\bstaging\b": r"\bstaging tables?\b",
    r"\bdrift\b": "",
    r"\bplaces?\b": r"\bin(to)? place\b|\btakes? place\b|\bdecimal places\b|\bin the first place\b",
    r"\bparts?\b": r"\bparts? of\b|\bin part\b|\bmessage parts?\b",
}
# What lists the words, what the code writes, and releases as they were.
LISTS = {"contributing.md", "commands.md", "python.md", "settings.md", "source-keys.md"}
DOCUMENTS = [
    path
    for path in [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")), *ROOT.glob("docs/**/*.md")]
    if path.name not in LISTS
]
# Files that quote old names.
QUOTING = {"old_names.py", "test_old_names.py", "test_words.py"}
SOURCES = [
    path
    for folder in ("flows_platform", "api_server", "benchmarks", "tests")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path.name not in QUOTING
]


def retired(text: str) -> list[str]:
    """The retired words of a text."""
    found = []
    for word, terms in RETIRED.items():
        rest = re.sub(terms, " ", text, flags=re.IGNORECASE) if terms else text
        found += [match[0] for match in re.finditer(word, rest, re.IGNORECASE)]
    return found


def prose(text: str) -> str:
    """A text without its code and link targets."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, messages and comments with their lines. A string without a space is a name, a key or a format."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def bound_each(source: str) -> list[int]:
    """Lines of loops and parameters named `each`: the name does not say what it is."""
    nodes = list(ast.walk(ast.parse(source)))
    targets = [node.target for node in nodes if isinstance(node, ast.For | ast.comprehension)]
    names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    parameters = [node for node in nodes if isinstance(node, ast.arg)]
    return [node.lineno for node in names if node.id == "each"] + [
        node.lineno for node in parameters if node.arg == "each"
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_uses_a_retired_word(path: Path) -> None:
    assert [(line, found) for line in prose(path.read_text()).splitlines() if (found := retired(line))] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_uses_a_retired_word(path: Path) -> None:
    source = path.read_text()
    assert [(line, found) for line, text in sentences(source) if (found := retired(prose(text)))] == []
    assert bound_each(source) == []
