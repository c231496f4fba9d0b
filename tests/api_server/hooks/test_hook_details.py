"""Details beside the receiver: a vendor that hangs, or a key that is refused, delays no delivery."""

import threading
from collections.abc import Callable
from pathlib import Path

from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import Outcome
from flows_platform.webhooks.detail_worker import NotAuthorized
from tests.conditions import eventually
from tests.webhooks.declared import declared

from .served import body, serving

DELIVERIES = 100


class Hung:
    """A vendor that answers once it may."""

    concurrency = 2
    lease_seconds = 600.0

    def __init__(self) -> None:
        self.open = 0
        self.most = 0
        self.called, self.may_answer = threading.Event(), threading.Event()
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:  # noqa: ARG002 - as the others
        with self._lock:
            self.open += 1
            self.most = max(self.most, self.open)
        self.called.set()
        self.may_answer.wait(60)
        with self._lock:
            self.open -= 1
        return b'{"id": "%s"}' % record_id.encode()

    def close(self) -> None:
        self.closed.set()


def test_deliveries_are_answered_while_the_vendor_hangs(tmp_path: Path) -> None:
    vendor = Hung()
    with serving(tmp_path, declared(archive=""), vendors={"vendor_alerts": lambda: vendor}) as hooks:
        for number in range(DELIVERIES):
            status, _, answer = hooks.send(body(f"5a{number:03}"))
            assert (status, answer["archived"]) == (200, 1)
        assert vendor.called.wait(60)
        assert 1 <= vendor.open <= vendor.most <= vendor.concurrency
        assert not [key for key in hooks.keys if key.startswith("alerts/")]
        vendor.may_answer.set()
    assert vendor.closed.is_set()


class Watched(FileStore):
    """A store that says when it has a detail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.has_detail = threading.Event()

    def create(self, key: str, body: bytes) -> Outcome:
        outcome = super().create(key, body)
        if key.startswith("alerts/"):
            self.has_detail.set()
        return outcome


def test_details_follow_their_deliveries(tmp_path: Path) -> None:
    vendor, store = Hung(), Watched(tmp_path / "archive")
    vendor.may_answer.set()
    with serving(tmp_path, declared(archive=""), store=store, vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c"))
        assert store.has_detail.wait(60)
    assert store.read("alerts/5a/3c/5a3c") == b'{"id": "5a3c"}'


class Counting(Hung):
    """A vendor that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:  # noqa: ARG002 - as the others
        self.asked.append(record_id)
        return b'{"id": "%s"}' % record_id.encode()


def test_two_servers_of_one_journal_ask_for_each_detail_once(tmp_path: Path) -> None:
    vendor, ids = Counting(), [f"5a{number:03}" for number in range(30)]
    vendors = {"vendor_alerts": lambda: vendor}
    declaration = declared(archive="")
    with (
        serving(tmp_path, declaration, vendors=vendors) as one,
        serving(tmp_path, declaration, vendors=vendors) as two,
    ):
        for number, record_id in enumerate(ids):
            for hooks in (one, two) if number % 3 else (two,):
                assert hooks.send(body(record_id))[0] == 200
        assert eventually(lambda: len([key for key in one.keys if key.startswith("alerts/")]) == len(ids), 120)
    assert sorted(vendor.asked) == ids


class Refusing(Hung):
    """A vendor that does not accept the key."""

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:  # noqa: ARG002 - as the others
        self.called.set()
        raise NotAuthorized("the vendor answered 401.")


def test_deliveries_go_on_where_the_vendor_refuses_the_key(tmp_path: Path) -> None:
    vendor = Refusing()
    with serving(tmp_path, declared(archive=""), vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c"))
        assert vendor.called.wait(60)
        assert hooks.send(body("5a3d"))[0] == 200
