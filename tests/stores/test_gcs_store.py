"""Google Cloud Storage where it refuses, is away, or loses an answer: what is said."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.storage.retry import DEFAULT_RETRY

from flows_platform.domain.errors import StorageError
from flows_platform.stores import gcs_store
from flows_platform.stores.object_store import Outcome
from flows_platform.stores.opening import open_store
from tests.fakes.gcs_server import GcsServer, failure
from tests.fakes.s3_servers import BUCKET

URL = f"gs://{BUCKET}/x"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    with GcsServer(BUCKET) as started:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", started.origin)
        yield started


@pytest.mark.parametrize(("status", "kind"), [(403, "Forbidden"), (401, "InvalidOperation")])
def test_wrong_credentials_are_named(server: GcsServer, status: int, kind: str) -> None:
    server.failing = [failure(status, "token ya29.a-secret is not valid")] * 3
    with pytest.raises(StorageError) as caught:
        open_store(URL)
    assert str(caught.value).startswith(
        f"{URL} refuses the credentials ({kind}). Set GOOGLE_APPLICATION_CREDENTIALS to the key"
    )
    assert "a-secret" not in str(caught.value)


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(StorageError, match=r"refuses the credentials \(DefaultCredentialsError\)"):
        open_store(URL)


def test_a_missing_bucket_is_named(server: GcsServer) -> None:
    with pytest.raises(StorageError, match=r"the bucket another-bucket does not exist\. Create it"):
        open_store("gs://another-bucket/x")
    store = open_store(URL)
    server.bucket = "renamed"
    for act in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: list(store.keys())):
        with pytest.raises(StorageError, match=f"the bucket {BUCKET} does not exist"):
            act()


def test_a_busy_service_is_asked_again(server: GcsServer) -> None:
    store = open_store(URL)
    server.failing = [failure(503, "busy"), failure(429, "slow down")]
    assert store.create("a", b"one") is Outcome.CREATED
    assert server.objects == {"x/a": b"one"}


def test_an_answer_that_was_lost_is_not_a_second_object(server: GcsServer) -> None:
    store = open_store(URL)
    server.failing = [failure(503, "busy")]
    server.objects["x/a"] = b"one"  # as the first try left it
    assert store.create("a", b"one") is Outcome.SAME


def test_a_service_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs_store, "_RETRY", DEFAULT_RETRY.with_timeout(0.1))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(StorageError, match=rf"{URL} cannot be used now: .* Check the service and the network"):
            open_store(URL)


def test_a_folder_that_a_tool_made_is_not_an_object(server: GcsServer) -> None:
    server.objects |= {"x/": b"", "x/webhooks/": b"", "x/webhooks/a": b""}
    assert list(open_store(URL).keys()) == ["webhooks/a"]
