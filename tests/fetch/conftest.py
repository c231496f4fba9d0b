"""The scripted server, a client for it, and no waiting between retries."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from flows_platform.fetch.http.client import HttpClient

from .scripted import ScriptedServer, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "window.parquet"


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries do not wait in tests; tests of the schedule assert how long they would."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield
