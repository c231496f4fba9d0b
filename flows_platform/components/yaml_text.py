"""The text of a source's file: what is not YAML, or what YAML reads otherwise than its author wrote it, by line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from flows_platform.components.rules import WINDOW_FILES
from flows_platform.declared import KeyPath
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.redaction import SECRET_NAME

LARGEST = 1 << 20  # bytes of a file; a source has a few kilobytes, a misplaced sample may have gigabytes
MOST_NODES = 100_000  # values of a file, those of aliases counted each time
DEEPEST = 50  # levels of lists and objects
# Keys whose values are sent as they are written, so that YAML's other readings of them would be sent.
SENT = frozenset({"parameters", "headers", "body", "for_each"})
_TIMESTAMP = "tag:yaml.org,2002:timestamp"  # a date stays text, as Dagster's loader leaves it
_TEXT, _BOOL, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_BASE = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_RESOLVERS = {
    first: [kind for kind in kinds if kind[0] != _TIMESTAMP] for first, kinds in _BASE.yaml_implicit_resolvers.items()
}
_PLAIN_LOADER = type("PlainLoader", (_BASE,), {"yaml_implicit_resolvers": _RESOLVERS})
_INDENT = re.compile(r"[ ]*\t")
QUOTE = "write the text in quotes"


class TextFault(NamedTuple):
    """What is wrong with the text of a key."""

    line: int
    at: KeyPath
    why: str

    def message(self, path: Path) -> str:
        """The fault as a message."""
        at = self.at[1:] if self.at[:1] == ("attributes",) else self.at
        return f"{path}:{self.line}: {'.'.join(map(str, at)) or 'attributes'}: {self.why}."


def read_text(path: Path) -> str:
    """The text of a source's file.

    Raises:
        ConfigurationError: it cannot be read, is not UTF-8, or is too large for a source.
    """
    try:
        # guard: a source's file is small
        if (size := path.stat().st_size) > LARGEST:
            raise ConfigurationError(
                f"{path} has {size:,} bytes, and a source has at most {LARGEST:,}.",
                remedy="If it is an answer of an API, move it out of the folder of sources.",
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", remedy="Correct the path or its permissions."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} cannot be read as YAML: byte {error.start} is not UTF-8.", remedy="Save the file as UTF-8."
        ) from None


def documents(text: str, path: Path) -> list[Any]:
    """The documents of a text, without the line numbers of keys: those take 15 ms per file, and only errors need them.

    Raises:
        ConfigurationError: the text is not YAML, or YAML would read a value otherwise than it is written; the message
            has the line of every such value.
    """
    found, faults = [], list[TextFault]()
    try:
        loader = _PLAIN_LOADER(text)
        while loader.check_node():
            node = loader.get_node()
            in_document = list(_faults(node))
            faults += in_document
            found.append(None if in_document else loader.construct_document(node))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: `!!int x`
        raise ConfigurationError(_not_yaml(error, text, path)) from None
    except RecursionError:
        raise ConfigurationError(f"{path} cannot be read as YAML: it nests too deep.") from None
    if faults:
        raise ConfigurationError("\n".join(fault.message(path) for fault in faults))
    return found


def lines_of_name(path: Path, name: str) -> list[int]:
    """The lines of a readable file that declare the table, or its files, under this name."""
    found = []
    for root in yaml.compose_all(read_text(path), _PLAIN_LOADER):
        members = _members(_members(root).get("attributes"))
        table, files = members.get("name"), members.get("files_asset")
        nodes = {str(node.value): node for node in (table, files) if node}
        if table and not files:
            nodes[f"{table.value}{WINDOW_FILES}"] = table
        if node := nodes.get(name):
            found.append(node.start_mark.line + 1)
    return found


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The members of an object by name; nothing for other nodes."""
    return {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _not_yaml(error: Exception, text: str, path: Path) -> str:
    """The message for a text that is not YAML. It never quotes the text: a secret may be in it."""
    marks = [mark for name in ("problem_mark", "context_mark") if (mark := getattr(error, name, None))]
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "a value does not fit its tag"
    problem = str(said).partition(" for the tag")[0]
    where = f"{path}:{marks[0].line + 1}" if marks else str(path)
    return f"{where}: this cannot be read as YAML: {problem}. {_remedy(problem, marks, text.splitlines())}"


def _remedy(problem: str, marks: list[Any], lines: list[str]) -> str:
    around = [lines[mark.line] for mark in marks if mark.line < len(lines)]
    signs = [lines[mark.line][mark.column : mark.column + 1] for mark in marks if mark.line < len(lines)]
    if any(_INDENT.match(line) for line in around):
        return "Indent with spaces instead of tabs."
    if special := next((sign for sign in signs if sign and sign in "@`%*&!|>"), None):
        return f"A text that begins with {special} needs quotes."
    if "mapping values" in problem or "expected key" in problem:
        return "A text that contains `: ` needs quotes, and the keys of an object have the same indentation."
    return "Close every bracket and quote; between brackets, a text that contains , [ ] { } or : needs quotes."


def _faults(root: yaml.Node) -> Iterator[TextFault]:
    """What YAML would read otherwise than it is written."""
    left: list[tuple[yaml.Node, KeyPath]] = [(root, ())]
    nodes = 0
    while left:
        node, at = left.pop()
        nodes += 1
        # Aliases make a small file large, or endless.
        if nodes > MOST_NODES or len(at) > DEEPEST:
            yield TextFault(node.start_mark.line + 1, at[:3], "this nests too deep, or repeats itself by an alias")
            return
        if isinstance(node, yaml.MappingNode):
            yield from _key_faults(node, at)
            inner = [(value, (*at, str(key.value))) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inner = [(value, (*at, index)) for index, value in enumerate(node.value)]
        else:
            yield from _value_faults(node, at)
            inner = []
        left += reversed(inner)


def _key_faults(node: yaml.MappingNode, at: KeyPath) -> Iterator[TextFault]:
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield TextFault(line, at, f"braces begin an object in YAML: {QUOTE}")
            return
        here = (*at, key.value)
        # guard: no value of a file replaces another
        if key.value in lines:
            yield TextFault(line, here, f"the key is in line {lines[key.value]} too; one of the two must go")
        # guard: keys are texts
        if key.tag not in {_TEXT, _MERGE}:
            yield TextFault(line, here, f"YAML does not read this key as a text: write '{key.value}' in quotes")
        # guard: braces without quotes are not an object
        if node.flow_style and isinstance(value, yaml.ScalarNode) and not value.style and not value.value:
            remedy = f"quote a text with a comma or braces, such as '{{{key.value}}}'"
            yield TextFault(line, here, f"the key has no value; {remedy}")
        lines[key.value] = line


def _value_faults(node: yaml.ScalarNode, at: KeyPath) -> Iterator[TextFault]:
    sent = not SENT.isdisjoint(map(str, at)) and at[-1:] != ("required",)

    # guard: texts are sent as they are written
    if not node.style and not _reads_as_written(node.tag, node.value, exact=sent):
        yield TextFault(node.start_mark.line + 1, at, _misread(node.value, at))


def _misread(text: str, at: KeyPath) -> str:
    if any(SECRET_NAME.search(str(name)) for name in at):
        return "YAML reads this as a number or a truth value: write it in quotes"
    read = yaml.safe_load(text)
    shown = str(read).lower() if isinstance(read, bool) else read
    return f"YAML reads {text} as {shown}: write '{text}' in quotes, or {shown}"


def _reads_as_written(tag: str, text: str, *, exact: bool) -> bool:
    """Whether a number or truth value is read as people read it; `exact`: written again, it is the same text."""
    if tag == _BOOL:
        return not exact or text in {"true", "false"}
    if tag not in _NUMBERS:
        return True
    read = yaml.safe_load(text)
    if exact:
        return str(read) == text
    try:
        return bool(float(text) == read)
    except ValueError:  # 12:30, which YAML reads as 750
        return False
