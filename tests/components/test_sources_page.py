"""docs/sources.md: its commands run, with the files and the output that the page shows."""

import json
import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows_platform.cli.app import app
from flows_platform.components.loader import load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from tests.components.feed_yaml import DOCUMENT, blocks, draft, other_form, whole_form
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

ORIGIN = "https://feed.example"
SOURCE = Path("sources/sightings.yaml")
TOKEN = "Bearer s3cr3t"  # noqa: S105 - the stand-in's
(SAMPLE,) = blocks("json")


def run(*words: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(app, [word for word in words if word])
    assert done.exit_code == 0, done.output
    return done.output


def commands() -> list[list[str]]:
    """The words of the page's commands, in their order."""
    (url,) = re.findall(r"^URL='(.*)'$", DOCUMENT.read_text(), re.MULTILINE)
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("flows ")]
    return [[word.replace("$URL", url) for word in shlex.split(line)[1:]] for line in lines]


def feed(asked: Asked) -> Answer:
    """The page's sample, and then the third and last record."""
    if asked.headers.get("authorization") != TOKEN:
        return document({"error": {"code": "unauthorized", "message": "a valid token is required"}}, 401)
    if asked.parameters.get("cursor") == "Mg":
        record: dict[str, Any] = json.loads(SAMPLE)["data"][1]
        return document({"data": [record | {"id": "s-3", "seen_at": "2024-03-01T23:59:59.999999Z"}], "next": None})
    first, last = (datetime.fromisoformat(asked.parameters[name]) for name in ("from", "to"))
    assert timedelta(days=1) <= last - first < timedelta(days=2)
    return document(json.loads(SAMPLE.replace(ORIGIN, f"http://{asked.headers['host']}")))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's first two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIGHTINGS_TOKEN", "s3cr3t")
    assert commands()[0] == ["init", "my_feeds"]
    run(*commands()[0])
    monkeypatch.chdir("my_feeds")
    Path("answer.json").write_text(SAMPLE)


@pytest.mark.usefixtures("project")
def test_the_commands_of_the_page_run() -> None:
    new, check, tried, dev = commands()[1:5]
    assert dev == ["dev"]  # the newcomer's test runs it
    assert f"{SOURCE}: " in run(*new)
    assert SOURCE.read_text() == draft()
    SOURCE.write_text(whole_form())
    assert run(*check) == "1 file, 1 table: no faults.\n"
    with SmallServer(feed) as server:
        SOURCE.write_text(whole_form().replace(ORIGIN, server.origin))
        said = run(*tried).replace(server.origin, ORIGIN)
    assert said in blocks("")


@pytest.mark.usefixtures("project")
def test_the_draft_alone_reads_the_feed() -> None:
    run(*commands()[1])
    with SmallServer(feed) as server:
        SOURCE.write_text(SOURCE.read_text().replace(ORIGIN, server.origin))
        said = json.loads(run(*commands()[3], "--json"))
    assert (said["rows"], said["rejected"]) == (3, 0)


def test_the_mistake_in_the_document_gets_the_message_that_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "sightings.yaml"
    path.write_text(whole_form().replace("kind: next_link", "kind: links"))
    with pytest.raises(ConfigurationError) as caught:
        load_declaration(path, Settings())
    assert str(caught.value).replace(str(path), str(SOURCE)) in DOCUMENT.read_text()


def test_both_forms_are_declarations(tmp_path: Path) -> None:
    for number, text in enumerate((whole_form(), other_form())):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert load_declaration(path, Settings()).name == "sightings"
