"""`flows hook`: what is sent is accepted by a real receiver, errors say what to do, and the demo is the original's."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from flows_platform.cli.app import app
from flows_platform.domain.errors import ConfigurationError, InputError, SourceRefused, SourceUnavailable
from flows_platform.settings import Settings, load_settings
from tests.components.vendor import KEY, SOURCE, Vendor, alert, project, receiving
from tests.conditions import eventually
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

BODY = json.dumps({"alerts": [alert("a-1001")]})
IN_URL = SOURCE.replace("kind: bearer, secret: {env: VENDOR_HOOK", "kind: url_secret, secret: {env: VENDOR_HOOK")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "alert.json").write_text(BODY)
    return project(tmp_path, monkeypatch)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as found:
        yield found


@pytest.mark.parametrize("text", [SOURCE, IN_URL])
def test_a_delivery_is_sent_and_its_answer_shown(
    settings: Settings, vendor: Vendor, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(vendor, settings, text) as (hooks, _):
        base = f"http://127.0.0.1:{hooks.port}"
        monkeypatch.setenv("FLOWS_HOOKS_URL", base)
        done = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json"])
        given = ["--url", f"{base}/api/v1/hooks/vendor_alerts"]
        again = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json", *given])
    kind = "bearer" if text == SOURCE else "url_secret"
    assert done.output == (
        f"Sending {len(BODY)} bytes to {base}/api/v1/hooks/vendor_alerts, verified as `{kind}`.\n"
        '200 {"success":true,"archived":1,"repeated":0}\n'
    )
    assert again.output.endswith('200 {"success":true,"archived":0,"repeated":1}\n')


@pytest.mark.parametrize("text", [SOURCE, IN_URL])
def test_a_refusal_says_what_to_do_and_shows_no_secret(
    settings: Settings, vendor: Vendor, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(vendor, settings, text) as (hooks, _):
        monkeypatch.setenv("FLOWS_HOOKS_URL", f"http://127.0.0.1:{hooks.port}")
        monkeypatch.setenv("VENDOR_HOOK_SECRET", "another-key-of-the-sender")
        refused = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json"])
        monkeypatch.setenv("VENDOR_HOOK_SECRET", KEY)
        elsewhere = ["--url", f"http://127.0.0.1:{hooks.port}/api/v1/hooks/others"]
        unknown = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json", *elsewhere])
    assert isinstance(refused.exception, SourceRefused)
    assert "answered 401" in str(refused.exception)
    assert "The receiver has another secret" in str(refused.exception)
    assert "answered 40" in str(unknown.exception)
    assert "No webhook is received at that URL" in str(unknown.exception)
    for done in (refused, unknown):
        assert "another-key" not in f"{done.output}{done.exception}"
        assert KEY not in f"{done.output}{done.exception}"


def test_a_receiver_that_does_not_run_is_named(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings) as (hooks, _):
        port = hooks.port
    url = ["--url", f"http://127.0.0.1:{port}/api/v1/hooks/vendor_alerts"]
    done = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json", *url])
    assert isinstance(done.exception, SourceUnavailable)
    assert "gives no answer" in str(done.exception)
    done = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "missing.json"])
    assert isinstance(done.exception, InputError)
    assert "missing.json cannot be read: No such file or directory" in str(done.exception)
    done = CliRunner().invoke(app, ["hook", "send", "vendors", "--file", "alert.json"])
    assert "there is no webhook 'vendors'" in str(done.exception)


def test_what_sns_signs_is_not_sent(settings: Settings) -> None:
    topics = "    unwrap: sns\n    topics: ['arn:aws:sns:us-east-1:123456789012:alerts']\n    records: alerts\n"
    text = IN_URL.replace("    records: alerts\n", topics, 1).replace("VENDOR/", "https://vendor.example/")
    Path(settings.sources[0], "vendor.yaml").write_text(text)
    done = CliRunner().invoke(app, ["hook", "send", "vendor_alerts", "--file", "alert.json"])
    assert "vendor_alerts takes deliveries through Amazon SNS" in str(done.exception)


def test_secrets_have_the_form_of_their_kind() -> None:
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", CliRunner().invoke(app, ["hook", "secret"]).output)
    assert re.fullmatch(r"[0-9a-f]{64}\n", CliRunner().invoke(app, ["hook", "secret", "--kind", "github"]).output)
    done = CliRunner().invoke(app, ["hook", "secret", "--kind", "gitlab"])
    assert isinstance(done.exception, ConfigurationError)
    assert "'gitlab' is not a kind with a secret; did you mean github?" in str(done.exception)
    assert "none" not in str(done.exception)


def threat_stack(asked: Asked) -> Answer:
    """The vendor of the original: the key is the whole header."""
    if asked.headers.get("authorization") != "the-key":
        return document({}, 401)
    return document({"id": asked.path.rpartition("/")[2], "severity": 1})


def demo(folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = os.environ | {"FLOWS_HOME": str(folder), **variables}
    command = [sys.executable, "-m", "flows_platform", "hook", "demo", "--port", str(free_port())]
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_the_demo_receives_as_the_original_does(tmp_path: Path) -> None:
    body = json.dumps({"alerts": [{"id": "52ebb55f", "created_at": 1391179102237, "severity": 1}]}).encode()
    with SmallServer(threat_stack) as vendor:
        process = demo(tmp_path, THREATSTACK_BASE_URL=f"{vendor.origin}/api/v1", THREATSTACK_API_KEY="the-key")
        assert process.stdout
        try:
            url = process.stdout.readline().split()[1]
            assert url.endswith("/api/v1/s3/alert")
            assert process.stdout.readline() == f"Archive  file://{tmp_path}/archive\n"
            with urlopen(url, body) as answer:
                assert json.loads(answer.read())["success"] is True
            assert (tmp_path / "archive/webhooks/2014/01/31/14/38/52ebb55f").exists()
            while True:  # 202 until the detail is there
                with urlopen(f"{url}/52ebb55f") as answer:
                    found = json.loads(answer.read())
                    if answer.status == 200:
                        break
                time.sleep(0.05)
            assert found == {"success": True, "alert": {"id": "52ebb55f", "severity": 1}}
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) in {0, 130}
            process.stdout.close()
    assert (tmp_path / "archive/alerts/52/eb/52ebb55f").exists()
    # A project's source of that name has another folder: what the demo has archived is not there.
    assert not load_settings(home=tmp_path).journal.exists()


@pytest.mark.parametrize("url", ["vendor.example", "https://me:the-password@vendor.example", "https://{id}/v1"])
def test_the_demo_refuses_a_url_that_leads_nowhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("THREATSTACK_BASE_URL", url)
    result = CliRunner().invoke(app, ["hook", "demo", "--port", str(free_port())])
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).startswith("THREATSTACK_BASE_URL is not the URL of an API.")
    assert not settings.files.home.joinpath("archive/webhooks").exists()


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


@pytest.mark.slow
def test_the_demo_says_where_a_bucket_or_details_come_from(tmp_path: Path) -> None:
    process = demo(tmp_path)
    assert process.stdout
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        assert eventually(lambda: listens(lines[0].split()[1]))  # before that, the signal may be lost
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stdout.close()
    assert lines[2].startswith("Details  are not fetched: set THREATSTACK_API_KEY")
    assert lines[3] == "Ctrl-C ends it.\n"
