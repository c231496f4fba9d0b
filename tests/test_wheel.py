"""The wheel in an environment of its own, with its hard dependencies alone: what installs it can use it."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.fakes.serving import Answer, Asked, VendorServer

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """
type: flows_platform.components.WindowedApiTable
attributes:
  name: visits
  api:
    url: {origin}/v1/visits
    format: json
    records: data
    time: {{after: from, before: to, before_inclusive: false}}
    paging: {{kind: next_link, link: next}}
  columns: [{{name: id, required: true}}, {{name: at, type: timestamp, required: true}}]
  time: at
  key: id
  partitions: {{cron: 0 */3 * * *, start: 2024-03-01T00:00:00}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Visits(VendorServer):
    def answer(self, asked: Asked) -> Answer:
        body = {"data": [{"id": "1", "at": asked.parameters["from"]}], "next": None}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, its dependencies in the versions of the lock, and no extras."""
    folder = tmp_path_factory.mktemp("environment")
    constraints = folder / "constraints.txt"
    # Without the hashes: pip would ask for the wheel's own.
    locked = re.sub(r" \\\n( +--hash=\S+( \\)?\n)+", "\n", (ROOT / "requirements.lock").read_text())
    constraints.write_text(locked)
    venv.create(folder / "venv", with_pip=True)
    pip: list[str | Path] = [
        folder / "venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--constraint", constraints, wheel], check=True)
    return folder / "venv/bin"


def flows(environment: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWS_", "PYTHON"))}
    return subprocess.run(
        [environment / "flows", *arguments],
        cwd=home,
        env=variables | {"FLOWS_HOME": str(home / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_the_packages_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].removesuffix(".dist-info").split("-")[0] for name in names} == {
        "flows_platform",
        "api_server",
    }
    assert {"flows_platform/py.typed", "api_server/py.typed", "flows_platform/cli/commands/dagster.yaml"} <= set(names)
    assert "flows_platform/library/okta_system_log.yaml" in names
    assert {"api_server/templates/layout.html", "api_server/templates/style.css"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "flows_platform = flows_platform.components" in zipfile.ZipFile(wheel).read(entry_points).decode()


def test_help_and_version(environment: Path, tmp_path: Path) -> None:
    assert "source" in flows(environment, tmp_path, "--help").stdout
    assert flows(environment, tmp_path, "--version").stdout.startswith("flows ")


def test_a_project_is_made_and_its_sources_are_known(environment: Path, tmp_path: Path) -> None:
    assert flows(environment, tmp_path, "init", "mine").returncode == 0
    (tmp_path / "mine" / "sources" / "visits.yaml").write_text(SOURCE.format(origin="https://api.example"))
    done = flows(environment, tmp_path / "mine", "source", "check")
    assert done.stdout == "1 file, 1 table: no faults.\n"
    assert flows(environment, tmp_path / "mine", "history", "2024-03-01-00:00").returncode == 0


def test_a_source_is_tried(environment: Path, tmp_path: Path) -> None:
    with Visits(clock=lambda: 0.0) as server:
        (tmp_path / "visits.yaml").write_text(SOURCE.format(origin=server.origin))
        done = flows(environment, tmp_path, "source", "try", "visits.yaml", "--window", "2024-03-01-00:00", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 1


def test_what_an_extra_brings_is_named_where_it_is_missing(environment: Path, tmp_path: Path) -> None:
    done = flows(environment, tmp_path, "demo", "--rows", "1000")
    assert done.returncode == 2
    assert "Run pip install 'flows-platform[emulator]'." in done.stderr
