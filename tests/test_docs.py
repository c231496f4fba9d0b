"""What README and docs name exists: commands, targets, settings, links, anchors, routes. The reference is current."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer

from flows_platform.cli.old_names import with_new_names
from flows_platform.settings import OLD_NAMES, PREFIX, Settings
from tests.api_server.conftest import openapi_document
from tests.reference.commands import COMMANDS, leaves
from tests.reference.pages import FOLDER, PAGES
from tests.reference.source_keys import PARTS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
DOCUMENTS = [*TOP, *sorted(DOCS.rglob("*.md"))]
TEST_SETTINGS = {
    name
    for path in Path(__file__).parent.rglob("*.py")
    for name in re.findall(r'environ\.get\("(FLOWS_TEST_[A-Z_]+)"', path.read_text())
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DEMO_OUTPUT = re.compile(r"[┃│├└┡]")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def code(text: str) -> Iterator[str]:
    """The lines of fenced blocks, and the spans between single backquotes."""
    for index, part in enumerate(re.split(r"^```.*$", text, flags=re.MULTILINE)):
        yield from part.splitlines() if index % 2 else re.findall(r"`([^`\n]+)`", part)


def flows_calls(text: str) -> Iterator[list[str]]:
    """The words after `flows` wherever code calls it."""
    for line in code(text):
        if not DEMO_OUTPUT.search(line) and (call := re.search(r"(?:\s|bin/)flows( [a-z-]+.*)", f" {line}")):
            yield shlex.split(call[1])


def urls(text: str) -> set[str]:
    """The URLs that code gives to curl."""
    return {word for line in code(text) if line.startswith("curl") for word in shlex.split(line) if "://" in word}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_flag_exists(path: Path) -> None:
    for name, *words in map(with_new_names, flows_calls(path.read_text())):
        assert name in COMMANDS, f"{path.name}: flows {name}"
        command = COMMANDS[name]
        if words and isinstance(command, typer.core.TyperGroup):
            assert words[0] in command.commands, f"{path.name}: flows {name} {words[0]}"
            command = command.commands[words[0]]
        flags = {option for parameter in command.params for option in parameter.opts}
        open_ = command.context_settings.get("ignore_unknown_options", False)  # a report's parameters are options too
        assert open_ or {word for word in words if word.startswith("--")} <= flags, f"{path.name}: flows {name} {words}"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run `make reference`"


def test_the_reference_has_every_command_setting_and_key() -> None:
    commands, settings, keys = (PAGES[name]() for name in ("commands.md", "settings.md", "source-keys.md"))
    assert re.findall(r"^## flows (.+)$", commands, re.MULTILINE) == [name for name, _ in leaves()]
    assert settings.count(f"| `{PREFIX}") == len(Settings.model_fields)
    assert keys.count("\n## ") == len(PARTS) > 15


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(path: Path) -> None:
    named = {target for line in code(path.read_text()) for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert named <= TARGETS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OLD_NAMES.keys() | TEST_SETTINGS
    assert {name for name in re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()) if name != PREFIX} <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_image_and_anchor_exists(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            found = path.parent / name if name else path
            assert found.exists(), target
            assert not anchor or anchor in anchors(found.read_text()), target


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them of plain words."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-")) for heading in headings}


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if not path.name.startswith("0")}
    assert set(re.findall(r"[\w/-]+\.md", config.partition("\nnav:")[2].partition("\nnot_in_nav:")[0])) == pages


def test_every_decision_is_in_the_index_with_its_title() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        number, title = re.match(r"# (\d+)\. (.+)", path.read_text()).groups()  # type: ignore[union-attr]
        assert f"\n{number}. [{title}]({path.name})\n" in index, path.name
        assert int(number) == int(path.name[:4])


def test_the_packages_in_the_tree_are_those_that_there_are() -> None:
    text = (DOCS / "how-it-works.md").read_text()
    tree = re.findall(r"^((?:flows_platform|api_server)[\w/]*)  +\w", text, re.MULTILINE)
    packages = {
        f"flows_platform/{path.name}" for path in (ROOT / "flows_platform").iterdir() if (path / "__init__.py").exists()
    }
    assert set(tree) == packages | {"api_server"}


def test_every_url_is_a_route_with_known_parameters() -> None:
    routes = openapi_document()["paths"]
    found = urls((DOCS / "api.md").read_text())
    assert len(found) >= 5
    for url in found:
        parts = urlsplit(url)
        path = re.sub("CVE-[0-9-]+$", "{id}", parts.path)
        known = {parameter["name"] for parameter in routes[path]["get"].get("parameters", [])}
        assert {name for name, _ in parse_qsl(parts.query)} <= known, url
