"""What a vendor lists and never delivered is archived, with the list as its evidence; what is there stays."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from flows_platform.webhooks.archive import Archive, Evidence
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.parsing import record_in
from flows_platform.webhooks.receiver import Receipt, Receiver
from flows_platform.webhooks.reconcile import BATCH, Listed, Reconciled, check_reconcilable, reconcile

from .declared import KEY, declared
from .deliveries import NOW, delivery
from .test_receiver import MINUTE, MS, Brittle, alert, sent

URL = "https://vendor.example/alerts"
CREATED = datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)


class Bench:
    """A receiver over a folder, whose declaration is made of the keys."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        self.store = Brittle(folder / "archive")
        self.journal = Journal(folder / "alerts.db")
        archive = Archive(self.store)
        self.receiver = Receiver(declared(archive="", **keys), {"HOOK_KEY": KEY}, archive, self.journal, lambda: None)

    def reconcile(self, *listed: Listed) -> Reconciled:
        return reconcile(self.receiver, listed, URL, NOW)

    def keys(self, prefix: str) -> list[str]:
        return list(self.store.keys(prefix))

    def close(self) -> None:
        self.journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


def listed(name: str, created: datetime = CREATED, **fields: object) -> Listed:
    return Listed(name, created, fields)


def test_what_is_missing_is_archived_and_its_detail_is_due(bench: Bench) -> None:
    bench.receiver.receive(sent(alert("5a3c")))
    found = bench.reconcile(listed("5a3c", severity=1), listed("5a3d", severity=2))
    assert found == Reconciled(listed=2, missing=1, ids=("5a3d",))
    assert bench.keys("webhooks/") == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]
    assert bench.store.read(f"{MINUTE}/5a3c") == alert("5a3c").encode()
    added = json.loads(bench.store.read(f"{MINUTE}/5a3d") or b"")
    assert added == {"id": "5a3d", "created_at": MS, "severity": 2}
    assert {one.id for one in DetailQueue(bench.journal, "vendor_alerts").listed()} == {"5a3c", "5a3d"}


def test_the_list_is_evidence(bench: Bench) -> None:
    bench.reconcile(listed("5a3d"))
    (key,) = bench.keys("deliveries/")
    assert key.startswith("deliveries/2026/03/01/12/")
    assert key.endswith("/reconciled")
    assert Evidence.read(bench.store.read(key) or b"").source == "vendor_alerts"


def test_a_second_comparison_changes_nothing(bench: Bench) -> None:
    bench.reconcile(listed("5a3d"))
    before = bench.keys("")
    assert bench.reconcile(listed("5a3d")) == Reconciled(listed=1)
    assert bench.keys("") == before


def test_a_record_that_only_the_archive_knows_is_not_missing(bench: Bench, tmp_path: Path) -> None:
    bench.receiver.receive(sent(alert("5a3c")))
    journal = Journal(tmp_path / "empty.db")
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(bench.store), journal)
    assert reconcile(receiver, [listed("5a3c", severity=1)], URL, NOW) == Reconciled(listed=1)
    assert bench.keys("webhooks/") == [f"{MINUTE}/5a3c"]
    journal.close()


def test_a_rebuilt_journal_knows_what_was_reconciled(bench: Bench, tmp_path: Path) -> None:
    bench.reconcile(listed("5a3d"))
    journal = Journal(tmp_path / "empty.db")
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(bench.store), journal)
    assert receiver.reindex() == 1
    assert receiver.unknown(["5a3d", "5a3e"]) == {"5a3e"}
    journal.close()


def test_what_cannot_be_archived_is_named_and_the_rest_is_archived(bench: Bench) -> None:
    found = bench.reconcile(listed("../x"), listed("5a3d"), listed("5a3e", NOW + timedelta(days=9)))
    assert (found.listed, found.missing, found.refused, found.ids) == (3, 3, 2, ("5a3d",))
    assert "../x: the object.id is '../x': an id has 4 to 200 letters" in found.reasons[0]
    assert "5a3e: the object.created_at is " in found.reasons[1]
    assert bench.keys("webhooks/") == [f"{MINUTE}/5a3d"]


def test_a_long_list_is_compared_in_batches(bench: Bench) -> None:
    found = bench.reconcile(*(listed(f"id-{number:05}") for number in range(BATCH + 20)))
    assert (found.listed, found.missing, len(found.ids)) == (BATCH + 20, BATCH + 20, 10)
    assert len(bench.keys("webhooks/")) == BATCH + 20
    assert len(bench.keys("deliveries/")) == 2


def deep(levels: int) -> object:
    found: object = 1
    for _ in range(levels):
        found = [found]
    return found


FAULTY = [
    (listed("half", title="\ud800"), "half: Half of a surrogate pair is at character "),
    (Listed("half", CREATED, {"\udc00": 1}), "half: Half of a surrogate pair is at character "),
    (listed("deep", found=deep(62)), "deep: The body nests deeper than 62 levels"),
    (listed("nested", found=deep(60_000)), "nested: "),
    (listed("none", share=float("nan")), "none: NaN is not JSON."),
    (listed("wide", share=float("inf")), "wide: Infinity is not JSON."),
    (listed("huge", count=10**5000), "huge: the object cannot be written as JSON: "),
    (listed("digits", count=Decimal("1" * 5000)), "digits: The body has a number of more than 4,300 digits."),
    (listed("late", NOW + timedelta(days=2)), "late: the object.created_at is "),
    (listed("early", datetime(1, 1, 1, tzinfo=UTC)), "early: the object.created_at is "),
    (listed("never", datetime(9999, 12, 31, tzinfo=UTC)), "never: the object.created_at is "),
    (listed("wide", title="x" * (1 << 20)), "wide: a delivery of the object has 1,048,"),
    (listed("\ud800abc"), r"\ud800abc: Half of a surrogate pair is at character "),
    (listed("a\x00bcd"), r"a\x00bcd: the object.id is 'a\x00bcd': an id has "),
    (listed("abc/../def"), "abc/../def: the object.id is "),
    (listed(""), ": the object.id is missing."),
    (listed("x" * 10_000), "x" * 80 + ": the object.id is "),
    (Listed("odd1", CREATED, {}, refused="the object cannot be read."), "odd1: the object cannot be read."),
]


@pytest.mark.parametrize(("faulty", "why"), FAULTY, ids=range(len(FAULTY)))
def test_a_record_that_cannot_be_kept_is_refused_alone(bench: Bench, faulty: Listed, why: str) -> None:
    found = bench.reconcile(listed("5a3c"), faulty, listed("5a3d"))
    assert (found.listed, found.missing, found.refused, found.ids) == (3, 3, 1, ("5a3c", "5a3d"))
    assert found.reasons[0].startswith(why)
    assert found.reasons[0].encode()
    assert bench.keys("webhooks/") == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]


def test_a_record_as_deep_as_a_delivery_may_be_is_kept(bench: Bench) -> None:
    assert bench.reconcile(listed("deep", found=deep(61))).refused == 0
    kept = bench.store.read(f"{MINUTE}/deep") or b""
    assert bench.receiver.receive(delivery(b'{"alerts": [%s]}' % kept, None, KEY)) == Receipt(repeated=1)


def test_numbers_keep_their_digits(bench: Bench) -> None:
    bench.reconcile(listed("5a3d", share=Decimal("0.10000000000000000000001"), count=2**70))
    kept = bench.store.read(f"{MINUTE}/5a3d") or b""
    assert b'"share":0.10000000000000000000001,"count":1180591620717411303424' in kept


def test_an_id_that_is_listed_twice_is_one_record(bench: Bench) -> None:
    found = bench.reconcile(listed("5a3d", severity=1), listed("5a3d", severity=2))
    assert (found.missing, bench.keys("webhooks/")) == (1, [f"{MINUTE}/5a3d"])


def test_deliveries_of_a_long_list_fit_the_limit(bench: Bench) -> None:
    found = bench.reconcile(*(listed(f"id-{number}", title="x" * 300_000) for number in range(7)))
    assert (found.missing, found.refused) == (7, 0)
    bodies = [json.loads(gzip.decompress(bench.store.read(key) or b""))["body"] for key in bench.keys("deliveries/")]
    assert [len(json.loads(body)["alerts"]) for body in bodies] != [7]
    assert max(map(len, bodies)) <= 1 << 20
    assert sum(len(json.loads(body)["alerts"]) for body in bodies) == 7


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("milliseconds", MS),
        ("seconds", MS / 1000),
        ("nanoseconds", MS * 1_000_000),
        ("iso", "2023-11-14T22:13:20.123000+00:00"),
        ("iso_utc", "2023-11-14T22:13:20.123000"),
        ("%Y/%m/%d %H:%M:%S.%f", "2023/11/14 22:13:20.123000"),
    ],
)
def test_a_record_is_written_as_the_webhook_writes_it(tmp_path: Path, written: str, expected: object) -> None:
    created = {"path": "meta.at", "written": written}
    bench = Bench(tmp_path, records=None, id="alert.number", created_at=created)
    webhook = bench.receiver.declaration.webhook
    check_reconcilable(webhook)
    assert bench.reconcile(listed("5a3d", alert={"title": "é"})).missing == 1
    body = bench.store.read(f"{MINUTE}/5a3d") or b""
    assert json.loads(body) == {"alert": {"title": "é", "number": "5a3d"}, "meta": {"at": expected}}
    assert record_in(webhook, body, "5a3d", NOW).created_at == CREATED
    bench.close()


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"records": None, "id": None, "delivery": {"header": "X-Id"}}, "`webhook.id` is needed"),
        ({"id": "ids[0].id"}, r"ids\[0\].id selects from a list"),
    ],
)
def test_some_webhooks_cannot_be_compared(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(PydanticCustomError, match=why):
        check_reconcilable(declared(**keys).webhook)
