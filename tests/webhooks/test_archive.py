"""The layout of the archive to the letter, and the evidence of a delivery, which has no secret."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import Outcome
from flows_platform.webhooks.archive import Archive, Evidence, Stored, evidence
from flows_platform.webhooks.parsing import Record

from .declared import declared
from .deliveries import NOW, delivery, github

RECORD = Record("5a3c.2f", datetime(2024, 3, 1, 9, 5, 59, tzinfo=UTC), b"{}", sha256(b"{}").hexdigest())


def test_the_layout(tmp_path: Path) -> None:
    archive = Archive(FileStore(tmp_path))
    assert archive.record_key(RECORD) == "webhooks/2024/03/01/09/05/5a3c.2f"
    assert archive.detail_key("5a3c.2f") == "alerts/5a/3c/5a3c.2f"
    assert archive.evidence_key(NOW, "ab12") == "deliveries/2026/03/01/12/ab12"
    assert Archive(FileStore(tmp_path), "a/b").detail_key("5a3c.2f") == "a/b/alerts/5a/3c/5a3c.2f"


def test_other_bytes_are_kept_beside(tmp_path: Path) -> None:
    archive = Archive(FileStore(tmp_path), "vendor")
    key = archive.record_key(RECORD)
    digest = sha256(b"two").hexdigest()
    assert archive.put(key, b"one").outcome is Outcome.CREATED
    assert archive.put(key, b"one").outcome is Outcome.SAME
    beside = archive.put(key, b"two")
    assert (beside.key, beside.outcome) == (f"{key}~{digest[:8]}", Outcome.CREATED)
    assert archive.put(key, b"two").outcome is Outcome.SAME
    assert archive.store.read(key) == b"one"
    assert list(archive.records()) == [(key, "5a3c.2f"), (beside.key, "5a3c.2f")]
    (tmp_path / beside.key).write_bytes(b"of the same first digits")
    assert archive.put(key, b"two").key == f"{key}~{digest[:28]}"
    (tmp_path / f"{key}~{digest[:28]}").write_bytes(b"and of more")
    with pytest.raises(StorageError, match="other objects under every key"):
        archive.put(key, b"two")


def test_a_record_of_another_server_is_not_stored_beside_itself(tmp_path: Path) -> None:
    archive = Archive(FileStore(tmp_path))
    key = archive.record_key(RECORD)
    beside = archive.beside(key, sha256(b"one").hexdigest())
    assert archive.put(key, b"one").key == key
    assert archive.put(beside, b"one") == Stored(key, Outcome.SAME)
    assert list(archive.store.keys()) == [key]


def test_evidence_has_body_and_proof_alone(tmp_path: Path) -> None:
    declaration = declared(verify={"kind": "github", "secret": {"env": "HOOK_KEY"}})
    headers = github("secret-of-github", b"\xff{}") | {"Authorization": "Bearer hidden", "Content-Type": "text/plain"}
    sent = replace(delivery(b"\xff{}", headers, "hidden-key"), sender="192.0.2.7")
    held = evidence(declaration, sent, "d-1", refused="The body is not UTF-8.")
    assert held == evidence(declaration, sent, "d-1", refused="The body is not UTF-8.")
    found = json.loads(gzip.decompress(held))
    assert b"hidden" not in gzip.decompress(held)
    assert found["headers"].keys() == {"content-type", "x-hub-signature-256", "x-github-delivery"}
    assert (found["sender"], found["body_base64"]) == ("192.0.2.7", "/3t9")
    digest = sha256(b"\xff{}").hexdigest()
    assert Evidence.read(held) == Evidence("vendor_alerts", NOW, digest, "d-1", "The body is not UTF-8.")
    archive = Archive(FileStore(tmp_path))
    archive.put(archive.evidence_key(NOW, digest), held)
    assert list(archive.deliveries()) == [archive.evidence_key(NOW, digest)]


PACKED = gzip.compress(b"{}", mtime=0)  # without a time, so that the names of the tests are always the same


@pytest.mark.parametrize("body", [b"", b"{}", gzip.compress(b"[]", mtime=0), PACKED, PACKED[:-2]])
def test_damaged_evidence_is_reported(body: bytes) -> None:
    with pytest.raises(StorageError, match="is damaged"):
        Evidence.read(body)
