"""Details are fetched after their records are archived: tried again for two days, never twice, never by guess."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows_platform.domain.errors import SourceRefused, SourceUnavailable, StorageError
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.circuit import FAILURES, PROBE_SECONDS, Circuit
from flows_platform.webhooks.detail_queue import DetailCounts, DetailQueue
from flows_platform.webhooks.detail_worker import IDLE, LONGEST, DetailWorker, NotAuthorized, Unaskable
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver

from .declared import KEY, declared
from .test_receiver import MS, Brittle, alert, sent

LEASE = 120.0


class Said:
    """A vendor that says what it is made to say, and keeps what it was asked for."""

    concurrency = 1
    lease_seconds = LEASE

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, bytes | Exception | None] = {}
        self.reads_record = False
        self.read: list[bytes] = []
        self.closed = False

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:
        self.asked.append(record_id)
        if self.reads_record:
            self.read.append(record())
        found = self.answers.get(record_id, b'{"id": "%s"}' % record_id.encode())
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        self.closed = True


class Bench:
    """A receiver and its worker over a folder, and a clock that is set."""

    def __init__(self, folder: Path) -> None:
        self.now, self.folder = 1_700_000_000.0, folder
        self.store = Brittle(folder / "archive")
        self.archive = Archive(self.store)
        self.journal = Journal(folder / "alerts.db")
        self.queue = DetailQueue(self.journal, "vendor_alerts")
        self.vendor = Said()
        self.worker = self.new_worker()
        self.woken = 0
        self.receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, self.archive, self.journal, self.wake)

    def new_worker(self) -> DetailWorker:
        return DetailWorker(self.queue, self.archive, self.vendor, lambda: self.now)

    def wake(self) -> None:
        self.woken += 1
        with self.journal.reading() as connection:  # the receiver's own clock is not that of the test
            rows = connection.execute("SELECT id FROM details WHERE tries = 0 AND first IS NULL AND due > 0").fetchall()
        for (name,) in rows:
            self.set_due(name, self.now)

    def set_due(self, name: str, due: float) -> None:
        self.journal.write(
            lambda connection: connection.execute("UPDATE details SET due = ? WHERE id = ?", (due, name)).close()
        )

    def receive(self, *ids: str) -> None:
        self.receiver.receive(sent(*map(alert, ids)))

    def states(self) -> dict[str, str]:
        with self.journal.reading() as connection:
            return dict(connection.execute("SELECT id, state FROM records ORDER BY id, differs DESC").fetchall())

    def detail(self, name: str) -> bytes | None:
        return self.store.read(f"alerts/{name[:2]}/{name[2:4]}/{name}")

    def steps(self) -> int:
        """Work until nothing is due; returns the number of steps that did something."""
        done = 0
        while self.worker.step() == 0:
            done += 1
        return done

    def close(self) -> None:
        self.journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


def test_the_answer_of_the_vendor_is_archived_byte_by_byte(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = body = b'{"id": "5a3c",\n "severity": 1.50}'
    bench.receive("5a3c", "5a3d")
    assert bench.woken == 1
    assert bench.queue.counts().pending == 2
    assert bench.steps() == 2
    assert bench.detail("5a3c") == body
    assert bench.states() == {"5a3c": "present", "5a3d": "present"}
    assert bench.queue.counts() == DetailCounts(0, None, 0, "")
    assert bench.vendor.asked == ["5a3c", "5a3d"]


def test_a_record_without_a_detail_is_asked_for_once(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = None
    bench.receive("5a3c")
    bench.steps()
    bench.receive("5a3c")
    bench.now += LONGEST
    assert bench.steps() == 0
    assert bench.states() == {"5a3c": "absent"}
    assert (bench.vendor.asked, bench.detail("5a3c")) == (["5a3c"], None)


def test_another_record_of_an_id_asks_for_nothing(bench: Bench) -> None:
    bench.receive("5a3c")
    bench.steps()
    bench.receiver.receive(sent(alert("5a3c", MS + 60_000)))
    bench.steps()
    assert bench.vendor.asked == ["5a3c"]
    with bench.journal.reading() as connection:
        states = connection.execute("SELECT state FROM records").fetchall()
    assert states == [("present",), ("present",)]


def test_tries_follow_their_schedule_until_the_detail_is_given_up(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.receive("5a3c")
    times: list[float] = []
    start = bench.now
    while bench.queue.counts().pending and len(times) < 100:
        # As other sources would: a success between keeps the circuit closed.
        bench.worker = bench.new_worker()
        bench.vendor.answers["5a3c"] = SourceUnavailable("the vendor is away.")
        assert bench.worker.step() == 0
        times.append(bench.now - start)
        bench.now = bench.queue.next_due() or bench.now
    assert times[:7] == [0, 5, 35, 155, 755, 4355, 7955]
    assert times[-1] <= LONGEST < times[-1] + 3600
    assert len(times) == 6 + 46
    assert bench.states() == {"5a3c": "dead"}
    (listed,) = bench.queue.listed(only_dead=True)
    assert (listed.id, listed.state, listed.tries, listed.why) == ("5a3c", "dead", 52, "the vendor is away.")
    assert "the detail of 5a3c in vendor_alerts is given up: the vendor is away." in caplog.text


def test_dead_details_are_replayed(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = Unaskable("the record has no value for {record.org} that a URL can hold.")
    bench.receive("5a3c", "5a3d")
    bench.steps()
    assert bench.states() == {"5a3c": "dead", "5a3d": "present"}
    del bench.vendor.answers["5a3c"]
    assert bench.queue.replay(bench.now, ["5a3d", "unknown"]) == 0
    assert bench.queue.replay(bench.now) == 1
    bench.steps()
    assert bench.states() == {"5a3c": "present", "5a3d": "present"}


def test_absent_details_are_replayed_by_their_ids(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = None
    bench.receive("5a3c")
    bench.steps()
    del bench.vendor.answers["5a3c"]
    assert bench.queue.replay(bench.now) == 0
    assert bench.queue.replay(bench.now, ["5a3c"]) == 1
    bench.steps()
    assert bench.states() == {"5a3c": "present"}


def test_a_new_record_wakes_a_dead_detail(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = Unaskable("no.")
    bench.receive("5a3c")
    bench.steps()
    del bench.vendor.answers["5a3c"]
    bench.receiver.receive(sent(alert("5a3c", MS + 60_000)))
    bench.steps()
    assert set(bench.states().values()) == {"present"}


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_that_jumps_loses_no_detail(bench: Bench, seconds: int) -> None:
    bench.vendor.answers["5a3c"] = SourceUnavailable("away.")
    bench.receive("5a3c", "5a3d")
    bench.now += seconds
    bench.steps()
    bench.now -= seconds
    del bench.vendor.answers["5a3c"]
    for _ in range(1_300 // 10):
        bench.steps()
        bench.now += 10
    assert bench.states() == {"5a3c": "present", "5a3d": "present"}
    assert bench.vendor.asked.count("5a3c") == (2 if seconds > 0 else 1)  # a clock that is late asks for nothing
    assert bench.queue.counts() == DetailCounts(0, None, 0, "")


def test_the_vendors_own_wait_counts(bench: Bench) -> None:
    bench.vendor.answers["5a3c"] = SourceUnavailable("the vendor answered 429.", retry_after=900)
    bench.receive("5a3c", "5a3d")
    assert bench.worker.step() == 0
    assert bench.worker.step() == IDLE
    assert bench.queue.next_due() == bench.now  # of the other one, which waits for the vendor too
    bench.now += 899
    assert bench.worker.step() == 1
    bench.now += 1
    bench.steps()
    assert bench.vendor.asked == ["5a3c", "5a3d", "5a3c"]


def test_after_failures_in_a_row_one_request_a_minute_is_sent(bench: Bench) -> None:
    ids = [f"5a{number:02}" for number in range(20)]
    bench.vendor.answers = {name: SourceUnavailable("the vendor is away.") for name in ids}
    bench.receive(*ids)
    assert bench.steps() == FAILURES
    for minute in range(1, 4):
        bench.now += PROBE_SECONDS
        assert bench.steps() == 1
        assert len(bench.vendor.asked) == FAILURES + minute
    bench.vendor.answers = {}
    bench.now += PROBE_SECONDS
    assert bench.steps() == 20
    assert set(bench.states().values()) == {"present"}


def test_refused_details_keep_no_other_waiting(bench: Bench) -> None:
    refused = [f"5a{number:02}" for number in range(2 * FAILURES)]
    bench.vendor.answers = {name: SourceRefused("its id is another one.") for name in refused}
    bench.receive(*refused, "5b00")
    assert bench.steps() == len(refused) + 1
    assert bench.states()["5b00"] == "present"


def test_an_open_circuit_has_one_probe_a_minute() -> None:
    circuit = Circuit()
    for _ in range(FAILURES):
        assert circuit.enter(100.0)
        circuit.failed(100.0, None)
    assert circuit.wait(100.0) == PROBE_SECONDS
    later = 100.0 + PROBE_SECONDS
    assert [circuit.enter(later), circuit.enter(later), circuit.enter(later + PROBE_SECONDS)] == [True, False, True]


def test_a_request_that_was_under_way_does_not_end_the_vendors_wait() -> None:
    circuit = Circuit()
    assert [circuit.enter(100.0), circuit.enter(100.0)] == [True, True]
    circuit.failed(101.0, 600.0)
    circuit.succeeded()
    assert circuit.wait(102.0) == 599.0
    assert [circuit.enter(102.0), circuit.enter(701.0)] == [False, True]


def test_two_threads_send_one_probe(bench: Bench) -> None:
    ids = [f"5a{number:02}" for number in range(20)]
    bench.vendor.answers = {name: SourceUnavailable("the vendor is away.") for name in ids}
    bench.receive(*ids)
    bench.steps()
    asked = len(bench.vendor.asked)
    bench.now += PROBE_SECONDS
    entered = threading.Barrier(2, timeout=60)
    claim = bench.queue.claim

    def claimed_together(now: float, lease: float) -> object:
        found = claim(now, lease)
        entered.wait()
        return found

    bench.queue.claim = claimed_together  # type: ignore[method-assign,assignment]
    threads = [threading.Thread(target=bench.worker.step) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(bench.vendor.asked) == asked + 1


def test_a_refused_key_stops_the_source(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.vendor.answers["5a3c"] = NotAuthorized(
        "https://vendor.example/5a3c answered 401.", remedy="Check the secrets."
    )
    bench.receive("5a3c", "5a3d")
    with caplog.at_level(logging.ERROR):
        assert bench.worker.step() == 0
    why = "https://vendor.example/5a3c answered 401. Check the secrets."
    assert f"details of vendor_alerts are stopped: {why}" in caplog.text
    bench.now += LONGEST
    assert bench.worker.step() == IDLE
    assert bench.queue.counts().stopped == why
    assert (bench.queue.counts().pending, bench.queue.counts().dead) == (2, 0)
    assert bench.vendor.asked == ["5a3c"]
    bench.vendor.answers = {}
    bench.queue.replay(bench.now)  # as the command does, once the key is right
    bench.steps()
    assert bench.states() == {"5a3c": "present", "5a3d": "present"}
    assert bench.queue.counts().stopped == ""


def test_a_start_ends_a_stop(bench: Bench) -> None:
    bench.receive("5a3c")
    bench.queue.stop("the vendor answered 401.")
    bench.worker.start()
    bench.worker.close(60)
    assert bench.queue.stopped() == ""
    assert bench.vendor.closed


def test_a_claim_that_was_cut_off_is_taken_up_after_its_lease(bench: Bench) -> None:
    bench.receive("5a3c")
    assert bench.queue.claim(bench.now, LEASE)  # by a process that was killed
    assert bench.worker.step() == IDLE
    bench.now += LEASE
    assert bench.steps() == 1
    assert bench.detail("5a3c") == b'{"id": "5a3c"}'


def test_a_detail_that_was_stored_and_not_noted_stays(bench: Bench) -> None:
    bench.receive("5a3c")
    bench.store.create("alerts/5a/3c/5a3c", b'{"id": "5a3c", "first": true}')
    bench.steps()
    assert bench.detail("5a3c") == b'{"id": "5a3c", "first": true}'
    assert bench.states() == {"5a3c": "present"}


def test_a_detail_counts_once_it_is_in_the_archive(bench: Bench) -> None:
    bench.receive("5a3c")
    bench.store.failing = "alerts/"
    with pytest.raises(StorageError, match="the archive is away"):
        bench.worker.step()
    assert bench.states() == {"5a3c": "archived"}
    assert bench.worker.step() == IDLE
    bench.store.failing = None
    bench.now += IDLE
    bench.steps()
    assert bench.states() == {"5a3c": "present"}
    assert bench.queue.counts().pending == 0


def test_a_record_is_read_where_the_request_needs_it(bench: Bench) -> None:
    bench.vendor.reads_record = True
    bench.receive("5a3c")
    bench.steps()
    assert bench.vendor.read == [alert("5a3c").encode()]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("secret"), "the request for a detail raised ValueError: without a message"),
        (SourceRefused("not a detail."), "not a detail."),
    ],
)
def test_any_error_is_a_failure_of_its_record_alone(bench: Bench, error: Exception, why: str) -> None:
    bench.vendor.answers["5a3c"] = error
    bench.receive("5a3c", "5a3d")
    bench.steps()
    assert bench.states() == {"5a3c": "archived", "5a3d": "present"}
    (listed,) = bench.queue.listed()
    assert (listed.state, listed.tries) == ("pending", 1)
    assert listed.why.startswith(why)
    assert "secret" not in listed.why


def test_a_rebuilt_journal_knows_details_and_asks_for_the_others(bench: Bench, tmp_path: Path) -> None:
    bench.vendor.answers["5a3d"] = SourceUnavailable("the vendor is away.")
    bench.receive("5a3c", "5a3d")
    bench.steps()
    journal = Journal(tmp_path / "rebuilt.db")
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, bench.archive, journal)
    assert receiver.reindex() == 2
    with journal.reading() as connection, bench.journal.reading() as old:
        rows = "SELECT id, sha256, created_at, key, differs, body, state FROM records ORDER BY id"
        assert connection.execute(rows).fetchall() == old.execute(rows).fetchall()
    assert DetailQueue(journal, "vendor_alerts").adopt(bench.now) == 1
    assert [one.id for one in DetailQueue(journal, "vendor_alerts").listed()] == ["5a3d"]
    journal.close()


def test_details_that_were_removed_are_fetched_again(bench: Bench) -> None:
    bench.receive("5a3c", "5a3d", "5a3e")
    bench.steps()
    (bench.folder / "archive" / "alerts/5a/3d/5a3d").unlink()
    bench.receiver.reindex()
    assert bench.states() == {"5a3c": "present", "5a3d": "archived", "5a3e": "present"}
    assert bench.queue.adopt(bench.now) == 1
    bench.steps()
    assert set(bench.states().values()) == {"present"}
    assert bench.detail("5a3d") == b'{"id": "5a3d"}'


def test_threads_fetch_what_arrives_until_they_are_closed(bench: Bench) -> None:
    fetched = threading.Event()
    said = bench.vendor.detail

    def detail(record_id: str, record: Callable[[], bytes]) -> bytes | None:
        try:
            return said(record_id, record)
        finally:
            fetched.set()

    bench.vendor.detail = detail  # type: ignore[method-assign]
    bench.worker.start()
    bench.receive("5a3c")
    bench.worker.wake()
    assert fetched.wait(60)
    bench.worker.close(60)
    assert bench.states() == {"5a3c": "present"}
