"""What the image starts, and how its health is asked for: run as the image runs them, on a root that is read-only."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from flows_platform.local.ports import free_port
from tests.conditions import eventually

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
# All of the root becomes read-only but the folder in $0, in a mount namespace of the process's own.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'


def words(instruction: str) -> list[str]:
    """The list of an instruction of the Dockerfile, the last of that name."""
    found = re.findall(rf"^{instruction} (?:--\S+ +)*(?:CMD )?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    listed: list[str] = json.loads(found[-1])
    return listed


def as_here(command: list[str], port: int) -> list[str]:
    """The command with this environment's programs, on another port."""
    programs = {"flows": [sys.executable, "-m", "flows_platform"], "python3": [sys.executable]}
    return programs[command[0]] + [word.replace("8040", str(port)) for word in command[1:]]


def read_only(home: Path, command: list[str]) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, str(home), *command]


def can_be_read_only(home: Path) -> bool:
    probe = 'touch "$0/x" && ! touch /x 2>/dev/null'
    done = subprocess.run(read_only(home, ["sh", "-c", probe, str(home)]), check=False, capture_output=True)
    return done.returncode == 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty FLOWS_HOME on a root that can be made read-only."""
    home = tmp_path / "home"
    (home / "tmp").mkdir(parents=True)
    if not can_be_read_only(home):
        pytest.skip("a mount namespace of its own is not permitted here")
    return home


def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLOWS_")}
    own = {"FLOWS_HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    return inherited | own | {"PYTHONPATH": str(ROOT)}


@contextmanager
def started(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = read_only(home, as_here(words("ENTRYPOINT") + words("CMD"), port))
    with subprocess.Popen(
        command, cwd=home, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.slow
def test_the_image_serves_on_a_read_only_root_and_is_healthy(home: Path) -> None:
    token = as_here(["flows", "token", "create", "probe"], 0)
    subprocess.run(read_only(home, token), cwd=home, env=environment(home), check=True, capture_output=True)
    port = free_port()
    health = as_here(words("HEALTHCHECK"), port)
    with started(home, port) as process:
        assert eventually(
            lambda: (
                process.poll() is not None or not subprocess.run(health, check=False, capture_output=True).returncode
            )
        )
        assert process.poll() is None, process.stdout and process.stdout.read()
        process.terminate()
        assert process.wait(60) is not None


@pytest.mark.slow
def test_it_does_not_start_without_tokens(home: Path) -> None:
    with started(home, free_port()) as process:
        output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "token" in output


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_images_lock_has_the_versions_of_the_tests() -> None:
    pinned = [
        dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE))
        for path in (DEPLOY / "requirements.lock", ROOT / "requirements.lock")
    ]
    assert pinned[0].items() <= pinned[1].items()
    assert {"dagster", "starlette", "hatchling"} <= pinned[0].keys() < pinned[1].keys()
    assert "pytest" not in pinned[0]


def test_the_services_that_are_named_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for text in ((DEPLOY / "compose.yaml").read_text(), (ROOT / "docs" / "deploy.md").read_text()):
        named = re.findall(r"docker compose --file deploy/compose.yaml (?:up|run --rm) (\w+)", text)
        assert set(named) == set(services)
