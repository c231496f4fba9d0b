"""Webhooks over HTTP into every store: what is acknowledged is in it, once, and the journal is built from it again."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from flows_platform.stores.opening import open_store
from flows_platform.webhooks.archive import Evidence
from tests.api_server.hooks.served import MINUTE, MS, body, serving

SENDERS = 16


def test_a_delivery_is_in_the_store_before_it_is_acknowledged(store_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, store=open_store(store_url)) as hooks:
        assert hooks.send(body("5a3c", "5a3d"))[2] == {"success": True, "archived": 2, "repeated": 0}
        assert hooks.send(body("5a3c", "5a3d"))[2] == {"success": True, "archived": 0, "repeated": 2}
        other = json.dumps({"alerts": [{"id": "5a3c", "created_at": MS, "severity": 1}]}).encode()
        assert hooks.send(other)[2] == {"success": True, "archived": 1, "repeated": 0}
        assert hooks.send(body("../x"))[0] == 400
    again = open_store(store_url)
    first, beside, second = again.keys("webhooks/")
    assert (first, second) == (f"{MINUTE}/5a3c", f"{MINUTE}/5a3d")
    assert again.read(first) == json.dumps({"id": "5a3c", "created_at": MS}).encode()
    assert again.read(beside) == json.dumps({"id": "5a3c", "created_at": MS, "severity": 1}).encode()
    refused = [Evidence.read(again.read(key) or b"").refused for key in again.keys("deliveries/")]
    assert [text[:12] for text in sorted(refused)] == ["", "", "alerts[0].id"]


def test_senders_at_once_are_archived_once(store_url: str, tmp_path: Path) -> None:
    barrier = Barrier(SENDERS)
    with serving(tmp_path, store=open_store(store_url)) as hooks:

        def send(number: int) -> int:
            barrier.wait()
            return hooks.send(body("same", f"own-{number}"))[0]

        with ThreadPoolExecutor(SENDERS) as senders:
            assert list(senders.map(send, range(SENDERS))) == [200] * SENDERS
        assert hooks.keys == sorted([f"{MINUTE}/same", *(f"{MINUTE}/own-{number}" for number in range(SENDERS))])


def test_a_lost_journal_is_built_from_the_store(store_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, store=open_store(store_url)) as hooks:
        hooks.send(body("5a3c", "5a3d"))
        keys = list(hooks.store.keys())
    for file in tmp_path.glob("alerts.db*"):
        file.unlink()
    with serving(tmp_path, store=open_store(store_url)) as hooks:
        assert hooks.send(body("5a3c", "5a3d"))[2] == {"success": True, "archived": 0, "repeated": 2}
        assert list(hooks.store.keys()) == keys
