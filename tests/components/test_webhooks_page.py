"""docs/webhooks.md: its commands run, with the files and the output that the page shows."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api_server.config import ServerConfig
from flows_platform.cli.app import app
from flows_platform.cli.commands.declarations import read_declarations
from flows_platform.cli.commands.serve_hooks import hooks_feature
from flows_platform.components.webhook_files import load_webhooks
from flows_platform.settings import Settings, load_settings
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.signing import new_secret
from tests.api_server.conftest import running
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
VENDOR = "https://api.vendor.example"
SOURCE = Path("sources/vendor_alerts.yaml")
TOKEN = "Bearer the-token-of-the-vendor"  # noqa: S105 - the stand-in's


def blocks(language: str) -> list[str]:
    """The page's blocks of a language, in order."""
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    """The words of the page's commands, in their order."""
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("flows ")]
    return [shlex.split(line)[1:] for line in lines]


def run(*words: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def vendor(asked: Asked) -> Answer:
    """The vendor's details, and a list of what it never sent."""
    if asked.headers.get("authorization") != TOKEN:
        return document({}, 401)
    return document({"id": asked.path.rpartition("/")[2], "rule": {"name": "Two countries"}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The page's first three steps, and a vendor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    assert commands()[0] == ["init", "my_hooks"]
    run(*commands()[0])
    monkeypatch.chdir("my_hooks")
    declared, reconcile = blocks("yaml")
    with SmallServer(vendor) as server:
        SOURCE.write_text((declared.rstrip() + f"\n{reconcile}").replace(VENDOR, server.origin))
        assert commands()[1] == ["hook", "secret"]
        monkeypatch.setenv("VENDOR_HOOK_SECRET", run(*commands()[1]).strip())
        monkeypatch.setenv("VENDOR_TOKEN", TOKEN.removeprefix("Bearer "))
        (alert,) = blocks("json")
        Path("alert.json").write_text(alert)
        yield load_settings()


def test_the_commands_of_the_page_run(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    check, serve, send, listed, show, replay, dev = commands()[2:9]
    assert (serve, dev) == (["serve"], ["dev"])  # a server of the same features runs here
    assert run(*check) == "1 file, 1 table: no faults.\n"
    found = read_declarations(project, reports=False)
    assert (found.faults, list(found.details)) == ([], ["vendor_alerts"])
    feature = hooks_feature(project, found.webhooks, found.details)
    with running(ServerConfig(shutdown_seconds=1), [feature]) as server:
        base = f"http://127.0.0.1:{server.port}"
        monkeypatch.setenv("FLOWS_HOOKS_URL", base)
        assert run(*send).replace(base, "http://127.0.0.1:8040") in blocks("")
        assert run(*send).endswith('200 {"success":true,"archived":0,"repeated":1}\n')
        assert run(*listed).startswith("vendor_alerts: ")
        assert json.loads(run(*show))["webhook"]["title"] == "Login from two countries"
        assert run(*replay).startswith("0 details are due again.")
    keys = list(open_store(project.archive).keys())
    assert "vendor_alerts/webhooks/2024/03/01/12/30/a-1001" in keys
    assert [key for key in keys if key.startswith("vendor_alerts/deliveries/")]


def test_the_examples_of_the_page_are_a_declaration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared, reconcile = blocks("yaml")
    (tmp_path / "vendor.yaml").write_text(declared.rstrip() + f"\n{reconcile}")
    (found,) = load_webhooks(tmp_path / "vendor.yaml", Settings())
    assert found.detail
    assert found.reconcile
    secrets = {"VENDOR_HOOK_SECRET": new_secret("standard")}
    assert found.secrets(secrets.get) == secrets
