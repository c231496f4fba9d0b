"""Webhooks over HTTP: what senders hear, and that a success is durable. A real server, on a socket."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from api_server.openapi import document
from flows_platform.domain.errors import ConfigurationError, StorageError
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import Outcome
from flows_platform.webhooks.journal import ARCHIVED, Journal, RecordEntry
from tests.api_server.hooks.served import MINUTE, MS, ORIGINAL, PATH, URL, Answer, Hooks, body, serving
from tests.conditions import eventually
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import github

NOW = datetime(2024, 3, 1, tzinfo=UTC)


def nothing_set(_: str) -> str | None:
    return None


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    with serving(tmp_path) as found:
        yield found


def test_a_delivery_is_archived_before_it_is_acknowledged(hooks: Hooks) -> None:
    status, headers, found = hooks.send(body("5a3c", "5a3d"))
    assert (status, found) == (200, {"success": True, "archived": 2, "repeated": 0})
    assert headers["cache-control"] == "no-store"
    assert hooks.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]
    assert hooks.send(body("5a3c", "5a3d"), f"{PATH}/{KEY}")[2] == {"success": True, "archived": 0, "repeated": 2}


@pytest.mark.parametrize(("answer", "said"), [(202, {"success": True, "archived": 1, "repeated": 0}), (204, None)])
def test_the_declared_status_is_answered(tmp_path: Path, answer: int, said: object) -> None:
    with serving(tmp_path, declared(archive="", answer=answer)) as hooks:
        status, _, found = hooks.send(body("5a3c"))
        assert (status, found) == (answer, said)
        assert hooks.keys == [f"{MINUTE}/5a3c"]


def test_refusals_are_problems_that_show_no_key(hooks: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    refusals = [
        (hooks.send(body("5a3c"), f"{PATH}?key=another-key"), 401, "unverified"),
        (hooks.send(body("5a3c"), PATH), 401, "unverified"),
        (hooks.send(body("5a3c"), f"{PATH}/{KEY}?key={KEY}"), 401, "unverified"),
        (hooks.send(body("../x"), f"{PATH}/{KEY}"), 400, "invalid-delivery"),
        (hooks.send(b"{", f"{PATH}/{KEY}"), 400, "invalid-delivery"),
        (hooks.send(b"{}", f"{PATH}/{KEY}", Content_Encoding="br"), 415, "unknown-coding"),
        # The head alone: the server answers it, and a body that is still being sent would meet a closed connection.
        (hooks.send(None, f"{PATH}/{KEY}", Content_Length=str((1 << 20) + 1)), 413, "body-too-large"),
    ]
    for (status, headers, found), expected, kind in refusals:
        assert (status, found["status"], found["type"]) == (expected, expected, f"/#{kind}")
        assert headers["content-type"] == "application/problem+json"
        assert found["instance"] == PATH
        assert KEY not in json.dumps(found)
        assert "success" not in found
    assert hooks.keys == []
    assert KEY not in caplog.text


def test_the_original_path_has_the_original_errors(tmp_path: Path) -> None:
    declaration = declared(archive="", path=ORIGINAL, aliases=[f"/threatstack-to-s3{ORIGINAL}"])
    with serving(tmp_path, declaration) as hooks:
        for path in declaration.paths:
            status, _, found = hooks.send(b'{"alerts": [{"id": "5a3c"}]}', f"{path}?key={KEY}")
            assert (status, found["success"]) == (400, False)
            message = ["alerts[0].created_at is missing."]
            assert found["error"] == {"type": "S3ViewWebhookDataError", "message": message}
        assert hooks.send(body("5a3c"), f"{ORIGINAL}/{KEY}", Content_Type="text/plain")[0] == 200


def test_senders_at_other_addresses_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, declared(archive="", senders=["192.0.2.0/24"])) as hooks:
        status, _, found = hooks.send(body("5a3c"))
        assert (status, found["type"]) == (403, "/#unknown-sender")
    with serving(tmp_path, declared(archive="", senders=["127.0.0.1"])) as hooks:
        assert hooks.send(body("5a3c"))[0] == 200


def test_only_posts_are_taken(hooks: Hooks) -> None:
    status, headers, _ = hooks.send(None, method="PUT")
    assert (status, headers["allow"]) == (405, "POST")


def head(*lines: str) -> bytes:
    return "\r\n".join([f"POST {URL} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def test_a_body_over_the_cap_is_not_read(tmp_path: Path) -> None:
    with serving(tmp_path, declared(archive="", limit_bytes=2048)) as hooks:
        by_length = hooks.raw(head("Content-Length: 2049"))
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        by_chunks = hooks.raw(head("Transfer-Encoding: chunked"), chunk, chunk, b"1\r\n \r\n")
        for answer in (by_length, by_chunks):
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"\r\nconnection: close\r\n" in answer.lower()
        exact = body("5a3c").ljust(2048)
        assert hooks.send(exact)[0] == 200


def test_a_slow_body_is_cut_off_and_disturbs_no_other(tmp_path: Path) -> None:
    with serving(tmp_path, body_seconds=0.5, deliveries=1) as hooks, ExitStack() as stack:
        for _ in range(20):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", hooks.port)))
            slow.sendall(head("Content-Length: 100") + b"{")
        assert hooks.send(body("5a3c"))[0] == 200
        answer = hooks.raw(head("Transfer-Encoding: chunked"), b"1\r\n{\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/#body-timeout" in answer


def test_bodies_that_are_held_have_a_budget(tmp_path: Path) -> None:
    with serving(tmp_path, body_bytes=2000) as hooks, ExitStack() as stack:
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", hooks.port)))
        slow.sendall(head("Content-Length: 1900") + b" " * 1800)
        # Once the server has read the slow body, which ends by its deadline.
        assert eventually(lambda: hooks.send(body("5a3c").ljust(500))[0] != 200, seconds=30)
        status, headers, found = hooks.send(body("5a3d").ljust(500))
        assert (status, headers["retry-after"], found["type"]) == (503, "2", "/#too-many-deliveries")
        slow.sendall(b" " * 100)
        assert slow.recv(100).startswith(b"HTTP/1.1 400 ")
        assert hooks.send(body("5a3d").ljust(500))[0] == 200


class Gated(FileStore):
    """A store that is away, or slow, while it is asked to be."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.away = False
        self.entered, self.open = threading.Event(), threading.Event()
        self.open.set()

    def create_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Outcome | StorageError]:
        self.entered.set()
        assert self.open.wait(60)
        if self.away:
            return [StorageError("the archive is away.") for _ in objects]
        return super().create_all(objects)


def test_without_the_archive_no_delivery_is_acknowledged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Gated(tmp_path / "archive")
    with serving(tmp_path, store=store, drain_seconds=0.01) as hooks:
        logging.getLogger("api_server").addHandler(caplog.handler)
        store.away = True
        for _ in range(2):
            status, headers, found = hooks.send(body("5a3c"))
            assert (status, headers["retry-after"], found["type"]) == (503, "30", "/#archive-unavailable")
        assert hooks.keys == []
        assert "vendor_alerts: the archive is away." in caplog.text
        store.away = False
        assert hooks.send(body("5a3c"))[0] == 200
    assert hooks.keys == [f"{MINUTE}/5a3c"]


def test_what_was_not_acknowledged_is_stored_all_the_same(tmp_path: Path) -> None:
    store = Gated(tmp_path / "archive")
    with serving(tmp_path, store=store) as hooks:
        store.away = True
        assert hooks.send(body("5a3c"))[0] == 503
    store.away = False
    with serving(tmp_path, store=store) as hooks:
        while not hooks.keys:  # until the server has come to what was left open
            time.sleep(0.01)
    assert hooks.keys == [f"{MINUTE}/5a3c"]


def test_more_deliveries_than_slots_are_sent_away(tmp_path: Path) -> None:
    store = Gated(tmp_path / "archive")
    with serving(tmp_path, store=store, deliveries=1) as hooks:
        store.entered.clear()
        store.open.clear()
        first: list[Answer] = []
        sender = threading.Thread(target=lambda: first.append(hooks.send(body("5a3c"))))
        sender.start()
        assert store.entered.wait(60)
        status, headers, found = hooks.send(body("5a3d"))
        assert (status, headers["retry-after"], found["type"]) == (503, "2", "/#too-many-deliveries")
        store.open.set()
        sender.join(60)
        assert first[0][0] == 200
        assert hooks.send(body("5a3d"))[0] == 200


def test_a_lost_journal_is_rebuilt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path) as hooks:
        hooks.send(body("5a3c", "5a3d"))
        keys = list(hooks.store.keys())
    for file in tmp_path.glob("alerts.db*"):
        file.unlink()
    capsys.readouterr()
    with serving(tmp_path) as hooks:
        logged = capsys.readouterr().err
        assert "vendor_alerts: rebuilding the journal from the archive before deliveries are accepted" in logged
        assert "vendor_alerts: the journal has 2 records" in logged
        assert hooks.send(body("5a3c", "5a3d"))[2]["repeated"] == 2
        assert list(hooks.store.keys()) == keys


def test_two_sources_have_folders_of_their_own(tmp_path: Path) -> None:
    signed = declared("git", verify={"kind": "github", "secret": {"env": "HOOK_KEY"}}, records=None, id=None)
    with serving(tmp_path, declared(), signed) as hooks:
        sent = json.dumps({"created_at": MS}).encode()
        assert hooks.send(body("5a3c"))[0] == 200
        assert hooks.send(sent, "/api/v1/hooks/git", **github(KEY, sent))[0] == 200
        assert hooks.send(b"{}", "/api/v1/hooks/git", **github(KEY, b"{}"), X_GitHub_Event="ping")[0] == 200
        wrong = hooks.send(sent, "/api/v1/hooks/git", **github("another key", sent))
        assert (wrong[0], wrong[2]["wrong"], wrong[1]["www-authenticate"]) == (401, "signature", "Webhook")
        assert hooks.keys == [f"git/{MINUTE}/72d3162e-cc78-11e3", f"vendor_alerts/{MINUTE}/5a3c"]
        assert hooks.send(None, "/healthz", "GET")[2] == {"status": "ok"}
        described = hooks.send(None, "/openapi.json", "GET")[2]
        assert set(described["paths"]) >= {PATH, "/api/v1/hooks/git"}


def test_health_reads_as_little_of_a_long_journal_as_of_a_short_one(tmp_path: Path) -> None:
    records = [
        RecordEntry(f"{number:08x}", "0" * 64, NOW, 100, f"vendor_alerts/{number}", "", body=None, state=ARCHIVED)
        for number in range(20_000)
    ]
    with serving(tmp_path) as hooks:
        journal = Journal(tmp_path / "alerts.db")
        journal.restore("vendor_alerts", records, [])
        journal.close()
        before = bytes_read()
        assert hooks.send(None, "/healthz", "GET")[2] == {"status": "ok"}
        assert bytes_read() - before < (tmp_path / "alerts.db").stat().st_size / 10


def bytes_read() -> int:
    """The bytes that this process has read so far."""
    return int(Path("/proc/self/io").read_text().partition("rchar: ")[2].split()[0])


def test_health_is_that_of_the_journal(tmp_path: Path) -> None:
    with serving(tmp_path) as hooks:
        assert hooks.send(None, "/healthz", "GET")[0] == 200
        (tmp_path / "alerts.db").rename(tmp_path / "elsewhere.db")
        for file in tmp_path.glob("alerts.db-*"):
            file.rename(tmp_path / file.name.replace("alerts", "elsewhere"))
        assert hooks.send(None, "/healthz", "GET")[0] == 503


def test_a_description_of_webhooks_asks_for_no_token(tmp_path: Path) -> None:
    config = HooksConfig([declared(answer=204)], lambda: FileStore(tmp_path), tmp_path / "alerts.db", nothing_set)
    described = document([HooksFeature(config).description()], secured=True)
    operation = described["paths"][PATH]["post"]
    assert "security" not in operation
    assert "content" not in operation["responses"]["204"]


def test_strangers_prove_themselves(tmp_path: Path) -> None:
    config = HooksConfig(
        [declared(verify={"kind": "none"})], lambda: FileStore(tmp_path), tmp_path / "alerts.db", nothing_set
    )
    feature = HooksFeature(config)
    feature.check_exposure(ServerConfig(), "127.0.0.1")
    feature.check_exposure(ServerConfig(without_tokens=True), "192.0.2.7")
    with pytest.raises(ConfigurationError, match="vendor_alerts takes deliveries from everyone"):
        feature.check_exposure(ServerConfig(), "192.0.2.7")


def test_a_server_without_its_secret_does_not_start(tmp_path: Path) -> None:
    config = HooksConfig([declared()], lambda: FileStore(tmp_path), tmp_path / "alerts.db", nothing_set)
    with pytest.raises(ConfigurationError, match="HOOK_KEY is not set"):
        HooksFeature(config).check()
