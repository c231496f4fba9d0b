"""What README and docs name exists: commands, flags, targets, settings, links, routes."""

import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import click
import pytest
import typer

from api_server.flows.openapi import document
from flows_platform.cli import app
from flows_platform.settings import PREFIX, Settings
from flows_platform.sources.lanl_flows.schema import FLOWS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
DEMO_OUTPUT = re.compile(r"[┃│├└┡]")


def settings_table() -> str:
    """The README's table of settings, as it must be."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| Variable | Default | Meaning |", "|---|---|---|", *rows])


def _shown(default: object) -> str:
    if default is None or default == "":
        return "none"
    return f"`{default:%Y-%m-%dT%H:%M:%SZ}`" if isinstance(default, datetime) else f"`{default}`"


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
    for name, *words in flows_calls(path.read_text()):
        assert name in COMMANDS, f"{path.name}: flows {name}"
        command = COMMANDS[name]
        if words and isinstance(command, typer.core.TyperGroup):
            assert words[0] in command.commands, f"{path.name}: flows {name} {words[0]}"
            command = command.commands[words[0]]
        flags = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags, f"{path.name}: flows {name} {words}"


def test_every_command_is_in_the_readme_with_its_flags() -> None:
    text = README.read_text().partition("## Commands")[2].partition("\n## ")[0]
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `flows ([a-z]+).*$", text, re.MULTILINE)}
    assert rows.keys() == COMMANDS.keys()
    for name, command in COMMANDS.items():
        options = (option for parameter in command.params for option in parameter.opts if option.startswith("--"))
        assert set(options) <= set(re.findall(r"--[a-z-]+", rows[name])), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(path: Path) -> None:
    named = {target for line in code(path.read_text()) for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert named <= TARGETS


def test_the_settings_table_is_the_rendered_one() -> None:
    table = settings_table()
    assert table in README.read_text(), f"put this table into the README:\n{table}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {name for name in re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()) if name != PREFIX} <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_and_image_exists(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    missing = [each for each in targets if "://" not in each and not (path.parent / each.partition("#")[0]).exists()]
    assert not missing


def test_the_paths_in_the_tree_exist() -> None:
    tree = re.findall(r"^((?:flows_platform|api_server|docs)[\w/]*)  +\w", README.read_text(), re.MULTILINE)
    assert len(tree) >= 5
    assert [each for each in tree if not (ROOT / each).is_dir()] == []


def test_every_url_is_a_route_with_known_parameters() -> None:
    routes = document(FLOWS)["paths"]
    found = urls(README.read_text())
    assert len(found) >= 5
    for url in found:
        parts = urlsplit(url)
        path = re.sub("CVE-[0-9-]+$", "{id}", parts.path)
        known = {parameter["name"] for parameter in routes[path]["get"].get("parameters", [])}
        assert {name for name, _ in parse_qsl(parts.query)} <= known, url
