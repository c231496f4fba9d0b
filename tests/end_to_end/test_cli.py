"""The command as a person uses it, in a process of its own: results, messages, exit codes, what is left on disk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.cli.commands.services import api_child
from flows_platform.local.child import ChildProcess
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS

COMMANDS = ("generate", "clean", "load", "serve", "fetch", "demo", "dev", "doctor")


def flows(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLOWS_")}
    return subprocess.run(
        [sys.executable, "-m", "flows_platform", *map(str, arguments)],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def failed(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """One clear message on standard error, the exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def database(folder: Path) -> Path:
    """A database built by the commands."""
    assert flows("generate", "--rows", 3000, "--days", 1, "--out", "raw.txt.gz", cwd=folder).returncode == 0
    done = flows("clean", "raw.txt.gz", "--out", "clean.csv", cwd=folder)
    assert "3,000 lines read, 3,000 kept, 0 rejected" in done.stdout
    done = flows("load", "clean.csv", "--database", "home/database/flows.db", cwd=folder)
    assert "3,000 rows, 0 rejected" in done.stdout
    assert done.stderr == ""  # no progress where there is no terminal
    return folder / "home" / "database" / "flows.db"


@pytest.fixture(scope="module")
def url(folder: Path, database: Path) -> Iterator[str]:
    """The stream endpoint of `flows serve`."""
    settings = load_settings(home=folder / "home", api_port=free_port())
    child: ChildProcess = api_child(settings)
    assert child.argv[3:5] == ("serve", "--database")
    assert child.argv[5] == str(database)
    with Supervisor() as supervisor:
        supervisor.start(child)
        yield settings.stream_url


# What a fetch may import beside the standard library: each package of more takes .05 to .4 CPU-seconds of every run.
PACKAGES = {"annotated_doc", "annotated_types", "click", "dateutil", "flows_platform", "ijson", "isal", "lxml", "numpy"}
PACKAGES |= {"pyarrow", "pydantic", "pydantic_core", "rich", "shellingham", "six", "typer", "typing_extensions"}
PACKAGES |= {"cython_runtime", "typing_inspection", "urllib3", "zstandard"}


def imported(*arguments: object, cwd: Path, **environment: str) -> tuple[int, set[str]]:
    """A command's exit code, and the packages that its process has in the end, without the interpreter's own."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from flows_platform.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    packages = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    return done.returncode, {name for name in packages if not name.startswith("_")}


@pytest.mark.parametrize("wire", ["json", "xml", "ndjson", "csv", "arrow"])
def test_a_fetch_imports_only_what_it_uses(url: str, tmp_path: Path, wire: str) -> None:
    options = ("--before", 10799, "--out", "window.parquet", "--format", wire)
    code, packages = imported("fetch", "--url", url, *options, cwd=tmp_path)
    assert code == 0
    assert packages - sys.stdlib_module_names <= PACKAGES
    assert "asyncio" not in packages


def test_a_fetch_that_is_tried_again_imports_what_retries(tmp_path: Path) -> None:
    options = ("--url", f"http://127.0.0.1:{free_port()}/", "--before", 10799, "--out", "window.parquet")
    code, packages = imported("fetch", *options, cwd=tmp_path, FLOWS_RETRY_ATTEMPTS="2")
    assert code == 1
    assert packages - sys.stdlib_module_names - PACKAGES == {"stamina", "tenacity"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, tmp_path: Path) -> None:
    done = flows(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"flows {command}" in done.stdout.split("Examples")[1]


def test_the_commands_are_listed(tmp_path: Path) -> None:
    done = flows("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("wire", ["json", "xml", "ndjson", "csv", "arrow", "auto"])
def test_a_window_is_fetched_in_every_format(url: str, folder: Path, wire: str) -> None:
    out = folder / f"{wire}.parquet"
    done = flows("fetch", "--url", url, "--after", 10799, "--before", 21599, "--format", wire, "--out", out, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "verified to L2 count" in done.stdout
    table = pq.read_table(out)
    assert table.column_names == list(FLOWS.names)
    assert table.num_rows > 0
    assert min(table.column("time").to_pylist()) >= 10800
    reference = folder / "json.parquet"
    assert not reference.exists() or pq.read_table(reference).equals(table)


def test_a_server_that_is_not_there(folder: Path) -> None:
    out = folder / "nothing.parquet"
    done = flows(
        "fetch", "--url", "http://127.0.0.1:9/x", "--before", 5, "--out", out, cwd=folder, FLOWS_RETRY_ATTEMPTS="2"
    )
    failed(done, 1, "http://127.0.0.1:9/x gives no answer", "Is the API server running")
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)  # a pipe does not show the earlier tries
    assert not out.exists()


def test_what_the_server_says_is_wrong_is_passed_on(url: str, folder: Path) -> None:
    out = folder / "limited.parquet"
    done = flows("fetch", "--url", f"{url}?limit=0", "--before", 5, "--out", out, cwd=folder)
    failed(done, 1, "answered 400", "limit")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fetch", "--url", "ftp://x/y", "--before", "5", "--out", "o.parquet"], "'ftp://x/y' is not an http(s) URL"),
        (["fetch", "--url", "http://u:canary@x/y", "--before", "5", "--out", "o.parquet"], "holds credentials"),
        (
            ["fetch", "--url", "http://x/", "--after", "9", "--before", "5", "--out", "o.parquet"],
            "--after 9 must be below",
        ),
        (["fetch", "--url", "http://x/", "--before", "5", "--format", "yaml", "--out", "o"], "--format 'yaml'"),
        (["fetch", "--url", "http://x/", "--before", "-5", "--out", "o.parquet"], "-5 is not in the range x>=0"),
        (["generate", "--rows", "0", "--out", "x"], "0 is not in the range x>=1"),
        (["generate", "--rows", "many", "--out", "x"], "'many' is not a valid int"),
        (["load", "clean.csv"], "Missing option '--database'"),
        (["nonsense"], "No such command 'nonsense'"),
        (
            ["serve", "--database", "f.db", "--allowed-hosts", "ok.example,http://x"],
            "'http://x' is not the name of a host",
        ),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(arguments: list[str], part: str, tmp_path: Path) -> None:
    done = flows(*arguments, cwd=tmp_path)
    failed(done, 2, part)
    assert "canary" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["clean", "absent.txt", "--out", "c.csv"], "absent.txt cannot be read: No such file"),
        (["load", "absent.csv", "--database", "f.db"], "absent.csv cannot be read: No such file"),
        (["serve", "--database", "absent.db"], "absent.db"),
    ],
)
def test_a_missing_file_is_named_with_exit_code_1(arguments: list[str], part: str, tmp_path: Path) -> None:
    failed(flows(*arguments, cwd=tmp_path), 1, part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_port_in_use_is_named(url: str, folder: Path, database: Path) -> None:
    port = url.split(":")[2].split("/", maxsplit=1)[0]
    failed(flows("serve", "--database", database, "--port", port, cwd=folder), 2, f"127.0.0.1:{port}")


@pytest.mark.slow
def test_a_wrong_setting_is_named_and_a_secret_is_not(tmp_path: Path) -> None:
    done = flows("doctor", cwd=tmp_path, FLOWS_DAYS="soon", FLOWS_API_TOKEN="canary")  # noqa: S106 - a canary
    failed(done, 2, "FLOWS_DAYS is 'soon'", "docs/reference/settings.md")
    assert "canary" not in done.stderr + done.stdout


def test_the_doctor_names_what_is_wrong_and_the_remedy(tmp_path: Path) -> None:
    done = flows("doctor", cwd=tmp_path, FLOWS_API_PRT="1", FLOWS_API_PORT="9", FLOWS_EMULATOR_PORT="10")
    assert done.returncode == 1
    lines = {line[6:].partition(":")[0]: line for line in done.stdout.splitlines()}
    assert "FLOWS_API_PRT is not a setting" in lines["settings"]
    for name in ("home folder", "database", "API", "warehouse", "CVE database"):
        assert lines[name].startswith("ok")
    for name in ("database", "API", "warehouse"):
        assert "flows dev" in lines[name]
    assert "nvd_full_load" in lines["CVE database"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_proves_every_window_twice(tmp_path: Path) -> None:
    for _ in range(2):
        done = flows("demo", "--rows", 20000, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "16 verified" in done.stdout
        assert "Every row is in BigQuery exactly once." in done.stdout
        assert "Report busiest_computers: " in done.stdout


@pytest.mark.slow
def test_a_full_disk_or_a_home_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    ports = {f"FLOWS_{name}_PORT": str(free_port()) for name in ("API", "EMULATOR", "DAGSTER")}
    full = tmp_path / "home" / "dagster"
    full.mkdir(parents=True)
    (full / "workspace.yaml").symlink_to("/dev/full")
    for home, reason in ((tmp_path / "home", "No space left on device"), (Path("/dev/null/home"), "Not a directory")):
        done = flows("dev", cwd=tmp_path, FLOWS_HOME=str(home), **ports)
        failed(done, 1, reason, "FLOWS_HOME")
        assert len(done.stderr.splitlines()) == 1
