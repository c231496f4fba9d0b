"""`flows serve` and the database of CVEs: found by setting or at its default path, its password shown nowhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api_server.cves import paths as cve_paths
from flows_platform.local.ports import free_port, listens
from tests.conditions import eventually
from tests.sources.nvd_cves.cve_objects import cve

from .conftest import Server, build, build_cves, flows


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    port = free_port()
    command = [sys.executable, "-m", "flows_platform", "serve", "--database", str(folder / "flows.db")]
    with subprocess.Popen(
        [*command, "--port", str(port)], env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert eventually(lambda: listens(port))
            yield process, Server(port)
        finally:
            process.terminate()


@pytest.mark.slow
def test_the_file_in_the_home_folder_is_the_default(tmp_path: Path) -> None:
    build(tmp_path / "flows.db", flows(10))
    (tmp_path / "database").mkdir()
    build_cves(tmp_path / "database" / "cves.db", [cve(1)])
    with serving(tmp_path, FLOWS_HOME=str(tmp_path)) as (_, server):
        response, body = server.get(cve_paths.CVES)
        assert response.status == 200
        assert b"CVE-2024-0001" in body


@pytest.mark.slow
def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    build(tmp_path / "flows.db", flows(10))
    url = "postgresql://u:canary@127.0.0.1:9/d"
    with serving(tmp_path, FLOWS_HOME=str(tmp_path), FLOWS_SQL_URL=url) as (process, server):
        response, body = server.get(cve_paths.CVES)
        assert response.status == 503
        assert "canary" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert "127.0.0.1" in log
    assert "canary" not in log + body.decode()


def test_the_command_line_loads_no_database_library() -> None:
    modules = "flows_platform.cli, api_server.app, api_server.cves.feature"
    code = f"import sys, {modules}; print('sqlalchemy' in sys.modules, 'psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
