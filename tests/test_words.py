"""No text of the project uses a retired word. docs/contributing.md lists what to write instead."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

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
ANY = re.compile("|".join(RETIRED), re.IGNORECASE)
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
    if path.name not in QUOTING and ".venv" not in path.parts
]


def retired(text: str) -> list[str]:
    """The retired words of a text."""
    if not ANY.search(text):
        return []
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
    if not ANY.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def bound_each(source: str) -> list[int]:
    """Lines of loops and parameters named `each`: the name does not say what it is."""
    if not re.search(r"\b(for|,|\(|\*|lambda) *each\b", source):
        return []
    nodes = list(ast.walk(ast.parse(source)))
    targets = [node.target for node in nodes if isinstance(node, ast.For | ast.comprehension)]
    names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    parameters = [node for node in nodes if isinstance(node, ast.arg)]
    return [node.lineno for node in names if node.id == "each"] + [
        node.lineno for node in parameters if node.arg == "each"
    ]


def test_no_document_uses_a_retired_word() -> None:
    lines = [(path.name, line) for path in DOCUMENTS for line in prose(path.read_text()).splitlines()]
    assert [(name, line, found) for name, line in lines if (found := retired(line))] == []


def test_no_source_uses_a_retired_word() -> None:
    texts = [(path, line, text) for path in SOURCES for line, text in sentences(path.read_text())]
    assert [(str(path), line, found) for path, line, text in texts if (found := retired(prose(text)))] == []


def test_no_name_in_a_source_says_nothing() -> None:
    assert {str(path): lines for path in SOURCES if (lines := bound_each(path.read_text()))} == {}
