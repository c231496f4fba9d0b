"""A delivery is acknowledged once all of it is in the archive; again it changes nothing; cut off it is ended."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import Outcome
from flows_platform.webhooks.archive import Archive, Evidence
from flows_platform.webhooks.delivery import Delivery, Unverified
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.journal import Counts, Journal
from flows_platform.webhooks.parsing import BadDelivery
from flows_platform.webhooks.receiver import Receipt, Receiver

from .declared import KEY, declared
from .deliveries import delivery

MS = 1_700_000_000_123
MINUTE = "webhooks/2023/11/14/22/13"


def alert(record_id: str, created: int = MS, **_: object) -> str:
    return f'{{"id": "{record_id}", "created_at": {created}}}'


def sent(*alerts: str) -> Delivery:
    return delivery(f'{{"alerts": [{", ".join(alerts)}]}}'.encode(), None, KEY)


class Brittle(FileStore):
    """A store that fails where it is asked to."""

    failing: str | None = None

    def create_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Outcome | StorageError]:
        failed = [self.failing is not None and self.failing in key for key, _ in objects]
        others = iter(super().create_all([one for one, fails in zip(objects, failed, strict=True) if not fails]))
        return [StorageError("the archive is away.") if fails else next(others) for fails in failed]


class Bench:
    """A receiver over a folder; `restarted` is that of the next process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Brittle(folder / "archive")
        self.journal = Journal(folder / "alerts.db")
        self.receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(self.store), self.journal)

    def close(self) -> None:
        self.journal.close()

    def restarted(self) -> "Bench":
        self.close()
        return Bench(self.folder)

    @property
    def keys(self) -> list[str]:
        return [key for key in list(self.store.keys()) if not key.startswith("deliveries/")]

    def rows(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "alerts.db")) as connection:
            return connection.execute(
                "SELECT id, sha256, created_at, key, differs, body, state FROM records ORDER BY id, key"
            ).fetchall()

    def deliveries(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "alerts.db")) as connection:
            return connection.execute("SELECT source, delivery, sha256, body, state FROM deliveries").fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_delivery_is_archived_and_again_changes_nothing(bench: Bench) -> None:
    assert bench.receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(archived=2)
    before = list(bench.store.keys())
    assert bench.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]
    assert bench.store.read(f"{MINUTE}/5a3c") == alert("5a3c").encode()
    assert bench.receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(repeated=2)
    assert bench.receiver.receive(sent(alert("5a3d"), alert("5a3e"))) == Receipt(archived=1, repeated=1)
    assert len(list(bench.store.keys())) == len(before) + 2
    assert bench.journal.counts("vendor_alerts") == Counts(records=3, differing=0, open=0)
    assert {row[5] for row in bench.rows()} == {row[3] for row in bench.deliveries()} == {None}


def test_other_bytes_of_an_id_are_kept_beside(bench: Bench) -> None:
    later, spaced = alert("5a3c", MS + 60_000), alert("5a3c").replace(" ", "")
    assert bench.receiver.receive(sent(alert("5a3c"), spaced, spaced)) == Receipt(2, 1, 1)
    assert bench.receiver.receive(sent(later)) == Receipt(1, 0, 1)
    assert bench.receiver.receive(sent(later, spaced)) == Receipt(0, 2, 0)
    first, *others = bench.keys
    assert first == f"{MINUTE}/5a3c"
    assert [key.rpartition("~")[0] for key in others] == [f"{MINUTE}/5a3c", "webhooks/2023/11/14/22/14/5a3c"]
    assert [bench.store.read(key) for key in bench.keys] == [text.encode() for text in (alert("5a3c"), spaced, later)]
    assert bench.journal.counts("vendor_alerts") == Counts(records=3, differing=2, open=0)


def test_nothing_is_kept_of_an_unknown_sender(bench: Bench) -> None:
    with pytest.raises(Unverified):
        bench.receiver.receive(replace(sent(alert("5a3c")), url_keys=("another-key",)))
    assert [*bench.store.keys(), *bench.rows(), *bench.deliveries()] == []


def test_a_batch_with_a_fault_leaves_its_evidence_alone(bench: Bench) -> None:
    with pytest.raises(BadDelivery, match=r"alerts\[1\]\.id is '\.\./x'"):
        bench.receiver.receive(sent(alert("5a3c"), alert("../x")))
    (key,) = bench.store.keys()
    assert Evidence.read(bench.store.read(key) or b"").refused.startswith("alerts[1].id is '../x'")
    assert bench.rows() == bench.deliveries() == []


@pytest.mark.parametrize("failing", ["5a3d", "deliveries/", ""])
def test_a_delivery_counts_once_all_of_it_is_in_the_archive(bench: Bench, failing: str) -> None:
    bench.store.failing = failing
    for _ in range(2):
        with pytest.raises(StorageError, match="the archive is away"):
            bench.receiver.receive(sent(alert("5a3c"), alert("5a3d")))
    bench.store.failing = None
    assert bench.receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(archived=2)
    assert bench.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]
    assert bench.receiver.drain() == 0


def test_deliveries_together_each_have_their_own_result(bench: Bench) -> None:
    bench.store.failing = "5a3d"
    good, unknown = sent(alert("5a3c")), replace(sent(alert("5a3e")), url_keys=("another-key",))
    given = [good, unknown, sent(alert("..")), sent(alert("5a3d")), good, sent(alert("5a3c"), alert("5a3f"))]
    results = bench.receiver.receive_all(given)
    assert results[0] == results[4] == Receipt(archived=1)  # the second one found the record not stored yet
    assert list(map(type, results[1:4])) == [Unverified, BadDelivery, StorageError]
    assert results[5] == Receipt(archived=2)
    assert bench.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3f"]
    assert bench.journal.counts("vendor_alerts") == Counts(records=3, differing=0, open=1)
    bench.store.failing = None
    assert bench.receiver.drain() == 1
    assert bench.receiver.receive_all(given[3:]) == [Receipt(repeated=1), Receipt(repeated=1), Receipt(repeated=2)]


def test_a_work_that_fails_undoes_its_own_writes_alone(bench: Bench) -> None:
    def added(source: str) -> Callable[[sqlite3.Connection], None]:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO stopped_details VALUES (?, 'a test')", (source,))
            if source == "b":
                raise ValueError(source)

        return work

    found = bench.journal.write_all([added("a"), added("b"), added("c")])
    assert list(map(type, found)) == [type(None), ValueError, type(None)]
    assert [DetailQueue(bench.journal, source).stopped() for source in "abc"] == ["a test", "", "a test"]


def test_a_record_of_an_open_delivery_is_stored_before_another_counts(bench: Bench) -> None:
    bench.store.failing = ""
    with pytest.raises(StorageError):
        bench.receiver.receive(sent(alert("5a3c")))
    bench.store.failing = None
    assert bench.receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(archived=2)
    assert bench.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]


def test_what_was_cut_off_is_ended_by_the_next_process(bench: Bench, tmp_path: Path) -> None:
    bench.store.failing = ""
    with pytest.raises(StorageError):
        bench.receiver.receive(sent(alert("5a3c"), alert("5a3d")))
    after = bench.restarted()
    assert after.journal.counts("vendor_alerts").open == 1
    assert after.receiver.drain() == 1
    assert after.keys == [f"{MINUTE}/5a3c", f"{MINUTE}/5a3d"]
    assert after.receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(repeated=2)
    after.close()


def test_the_journal_is_rebuilt_from_the_archive(bench: Bench, tmp_path: Path) -> None:
    deliveries = [sent(alert("5a3c"), alert("5a3d")), sent(alert("5a3c", MS + 1)), sent(alert("5a3e", MS + 60_000))]
    for one in deliveries:
        bench.receiver.receive(one)
    with pytest.raises(BadDelivery):
        bench.receiver.receive(sent(alert("..")))
    rows, noted, keys = bench.rows(), bench.deliveries(), list(bench.store.keys())
    bench.close()
    for file in tmp_path.glob("alerts.db*"):
        file.unlink()
    rebuilt = Bench(tmp_path)
    told: list[int] = []
    assert rebuilt.receiver.reindex(lambda done, _: told.append(done)) == 4
    assert told == [4, 4 + len(deliveries)]
    assert rebuilt.rows() == rows
    assert sorted(map(str, rebuilt.deliveries())) == sorted(map(str, noted))
    assert rebuilt.receiver.reindex() == 4
    assert [rebuilt.receiver.receive(one).archived for one in deliveries] == [0, 0, 0]
    assert list(rebuilt.store.keys()) == keys
    rebuilt.close()


def test_a_delivery_that_was_cut_off_is_not_archived_by_an_index(bench: Bench) -> None:
    bench.store.failing = MINUTE  # its evidence is in the archive, its record is not
    with pytest.raises(StorageError):
        bench.receiver.receive(sent(alert("5a3c")))
    assert list(bench.store.keys("deliveries/"))
    assert bench.receiver.reindex() == 0
    bench.store.failing = None
    assert bench.journal.counts("vendor_alerts").open == 1
    assert bench.receiver.drain() == 1
    assert bench.keys == [f"{MINUTE}/5a3c"]


def test_a_journal_is_indexed_once_it_has_all_of_the_archive(bench: Bench) -> None:
    bench.receiver.receive(sent(alert("5a3c")))
    assert not bench.receiver.is_indexed
    bench.store.create(f"{MINUTE}/5a3d", b"not a record")
    with pytest.raises(StorageError):
        bench.receiver.reindex()
    assert not bench.receiver.is_indexed
    (bench.folder / "archive" / MINUTE / "5a3d").unlink()
    bench.receiver.reindex()
    assert bench.receiver.is_indexed


def test_a_record_of_an_archived_delivery_is_stored_after_all(bench: Bench) -> None:
    bench.store.failing = MINUTE
    with pytest.raises(StorageError):
        bench.receiver.receive(sent(alert("5a3c")))
    bench.close()
    for file in bench.folder.glob("alerts.db*"):
        file.unlink()
    rebuilt = Bench(bench.folder)
    assert rebuilt.receiver.reindex() == 0
    rebuilt.store.failing = MINUTE
    with pytest.raises(StorageError):
        rebuilt.receiver.receive(sent(alert("5a3c")))
    rebuilt.store.failing = None
    assert rebuilt.journal.counts("vendor_alerts").open == 1
    assert rebuilt.receiver.drain() == 1
    assert rebuilt.keys == [f"{MINUTE}/5a3c"]
    assert rebuilt.journal.counts("vendor_alerts") == Counts(records=1, differing=0, open=0)
    rebuilt.close()


def test_a_journal_that_cannot_be_read_is_not_the_fault_of_a_delivery(bench: Bench) -> None:
    def damaged(_: sqlite3.Connection) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(StorageError, match="malformed"):
        bench.journal.write(damaged)
    assert bench.receiver.receive(sent(alert("5a3c"))) == Receipt(archived=1)


def test_an_archive_that_was_lost_is_not_an_empty_one(bench: Bench) -> None:
    bench.receiver.receive(sent(alert("5a3c")))
    bench.receiver.reindex()
    bench.receiver.forget_another_archive()
    indexed = bench.receiver.is_indexed
    assert bench.receiver.receive(sent(alert("5a3c"))) == Receipt(repeated=1)
    bench.receiver.receive(sent(alert("5a3d")))
    (bench.folder / "archive" / MINUTE / "5a3c").unlink()
    bench.receiver.forget_another_archive()  # a range that lacks one is an error of its own
    assert bench.receiver.is_indexed
    (bench.folder / "archive" / MINUTE / "5a3d").unlink()
    with pytest.raises(StorageError, match=f"has no record of vendor_alerts, .* is {MINUTE}/5a3c.* alerts reindex"):
        bench.receiver.forget_another_archive()
    bench.receiver.forget_another_archive(emptied=True)
    assert (indexed, bench.receiver.is_indexed) == (True, False)
    assert bench.receiver.receive(sent(alert("5a3c"))) == Receipt(archived=1)
    assert bench.keys == [f"{MINUTE}/5a3c"]


class Moved:
    """Receivers of one journal, each with its own folder and store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journal = folder, Journal(folder / "alerts.db")

    @contextmanager
    def at(self, folder: str, store: str = "archive") -> Iterator[tuple[Receiver, Brittle]]:
        found = Brittle(self.folder / store)
        receiver = Receiver(declared(archive=folder), {"HOOK_KEY": KEY}, Archive(found, folder), self.journal)
        receiver.forget_another_archive()
        if not receiver.is_indexed:
            receiver.reindex()
        yield receiver, found


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Moved]:
    found = Moved(tmp_path)
    yield found
    found.journal.close()


@pytest.mark.parametrize(("folder", "store"), [("new", "archive"), ("old", "elsewhere"), ("", "elsewhere")])
def test_a_journal_says_what_the_archive_has_that_is_asked_for(moved: Moved, folder: str, store: str) -> None:
    with moved.at("old") as (receiver, _):
        receiver.receive(sent(alert("5a3c"), alert("5a3d")))
    with moved.at(folder, store) as (receiver, _):
        receiver.receive(sent(alert("5a3d")))
        assert moved.journal.counts("vendor_alerts") == Counts(records=1, differing=0, open=0)
    with moved.at("old") as (receiver, _):
        assert moved.journal.counts("vendor_alerts") == Counts(records=2, differing=0, open=0)
    with moved.at(folder, store) as (receiver, found):
        assert receiver.unknown(["5a3c", "5a3d"]) == {"5a3c"}
        assert receiver.receive(sent(alert("5a3c"), alert("5a3d"))) == Receipt(archived=1, repeated=1)
        start = f"{folder}/" if folder else ""
        assert [*found.keys(f"{start}webhooks/")] == [f"{start}{MINUTE}/5a3c", f"{start}{MINUTE}/5a3d"]


def test_what_is_not_stored_yet_is_stored_in_the_archive_that_is_asked_for(moved: Moved) -> None:
    spaced = alert("5a3c").replace(" ", "")
    with moved.at("old") as (receiver, store):
        receiver.receive(sent(alert("5a3c")))
        store.failing = "webhooks/"
        with pytest.raises(StorageError):
            receiver.receive(sent(spaced, alert("5a3c", MS + 60_000), alert("5a3d")))
        before = [*store.keys("old/")]
    with moved.at("my.webhooks/new") as (receiver, store):
        assert receiver.drain() == 1
        records = [*store.keys("my.webhooks/new/webhooks/")]
        assert sorted(store.read(key) or b"" for key in records) == sorted(
            text.encode() for text in (spaced, alert("5a3c", MS + 60_000), alert("5a3d"))
        )
        assert len([key for key in records if "~" not in key]) == 2
        assert len([*store.keys("my.webhooks/new/deliveries/")]) == 1
        assert [*store.keys("old/")] == before
        assert moved.journal.counts("vendor_alerts").open == 0


def test_records_that_were_removed_are_forgotten_by_an_index(moved: Moved) -> None:
    with moved.at("") as (receiver, store):
        receiver.receive(sent(*(alert(f"id-{number}", MS + number * 60_000) for number in range(5))))
        store.failing = "webhooks/"
        with pytest.raises(StorageError):
            receiver.receive(sent(alert("open")))
        for minute in (13, 15):
            shutil.rmtree(moved.folder / "archive" / "webhooks/2023/11/14/22" / str(minute))
        assert receiver.reindex() == 3
        assert moved.journal.counts("vendor_alerts") == Counts(records=4, differing=0, open=1)
        assert receiver.unknown([f"id-{number}" for number in range(5)]) == {"id-0", "id-2"}


def test_without_its_journal_nothing_is_overwritten(bench: Bench, tmp_path: Path) -> None:
    bench.receiver.receive(sent(alert("5a3c")))
    bench.close()
    for file in tmp_path.glob("alerts.db*"):
        file.unlink()
    after = Bench(tmp_path)
    spaced = alert("5a3c").replace(" ", "")
    assert after.receiver.receive(sent(spaced)) == Receipt(archived=1)
    assert [after.store.read(key) for key in after.keys] == [alert("5a3c").encode(), spaced.encode()]
    assert [row[3] for row in after.rows()] == [after.keys[1]]
    after.close()


def test_a_foreign_object_is_reported(bench: Bench) -> None:
    bench.store.create(f"{MINUTE}/5a3c", b"not a record")
    with pytest.raises(StorageError, match=f"the archive's object {MINUTE}/5a3c is not a record"):
        bench.receiver.reindex()


def test_senders_at_once_are_each_archived_once(bench: Bench) -> None:
    barrier = threading.Barrier(16)

    def send(number: int) -> Receipt:
        barrier.wait()
        return bench.receiver.receive(sent(alert(f"id-{number % 8}"), alert(f"own-{number}")))

    with ThreadPoolExecutor(16) as senders:
        receipts = list(senders.map(send, range(16)))
    assert {receipt.archived + receipt.repeated for receipt in receipts} == {2}
    assert bench.journal.counts("vendor_alerts") == Counts(records=24, differing=0, open=0)
    assert len(bench.keys) == 24


def test_a_journal_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Journal(tmp_path / "file" / "alerts.db")
    (tmp_path / "alerts.db").write_bytes(b"not sqlite" * 1000)
    with pytest.raises(StorageError, match="cannot be used"):
        Journal(tmp_path / "alerts.db")


def test_a_failed_commit_fails_its_deliveries_and_the_next_one_goes_on(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.folder / "alerts.db")) as other:
        other.execute("ALTER TABLE records RENAME TO hidden")
        with pytest.raises(StorageError, match="no such table: records"):
            bench.receiver.receive(sent(alert("5a3c")))
        other.execute("ALTER TABLE hidden RENAME TO records")
    assert list(bench.store.keys()) == []
    assert bench.receiver.receive(sent(alert("5a3c"))) == Receipt(archived=1)


@pytest.mark.parametrize("tries", [3, 10])
def test_a_store_that_is_away_for_an_hour_loses_nothing(bench: Bench, tries: int) -> None:
    bench.store.failing = ""
    batches = [sent(alert(f"id-{number}"), alert("shared")) for number in range(6)]
    for number, batch in enumerate(batches):
        for attempt in range(tries):  # of the hour, the sender's own share
            late = timedelta(minutes=10 * number + attempt * 60 / tries)
            with pytest.raises(StorageError, match="the archive is away"):
                bench.receiver.receive(replace(batch, received=batch.received + late))
        with pytest.raises(StorageError, match="the archive is away"):
            bench.receiver.drain()
    assert list(bench.store.keys()) == []
    bench.store.failing = None
    assert bench.receiver.drain() == 6
    assert bench.receiver.drain() == 0
    assert bench.keys == [f"{MINUTE}/{name}" for name in (*(f"id-{number}" for number in range(6)), "shared")]
    assert len(list(bench.store.keys("deliveries/"))) == 6
    assert [bench.receiver.receive(batch) for batch in batches] == [Receipt(repeated=2)] * 6


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_ten_minutes_off_loses_nothing(bench: Bench, minutes: int) -> None:
    shifted = [
        replace(sent(alert(f"id-{number}")), received=sent().received + timedelta(minutes=number * minutes))
        for number in range(3)
    ]
    assert [bench.receiver.receive(one).archived for one in shifted] == [1, 1, 1]
    assert [bench.receiver.receive(one).repeated for one in reversed(shifted)] == [1, 1, 1]
    assert len(list(bench.store.keys())) == 6
