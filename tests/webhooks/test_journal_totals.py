"""Totals are those of the records, whatever was written, and a look at them reads no record."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.archived_records import RecordReader
from flows_platform.webhooks.journal import ARCHIVED, Counts, Journal, RecordEntry
from flows_platform.webhooks.journal_index import JournalIndex
from flows_platform.webhooks.journal_totals import Totals, totals

from .test_receiver import Brittle


def entry(number: int, size: int, *, differs: bool) -> RecordEntry:
    key = f"webhooks/2024/03/01/12/30/id-{number}"
    digest = sha256(f"{number} {differs}".encode()).hexdigest()
    at = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
    return RecordEntry(f"id-{number}", digest, at, size, f"{key}~" if differs else key, key, None, differs, ARCHIVED)


def counted(journal: Journal, source: str) -> Totals:
    """Counted record by record."""
    with journal.reading() as connection:
        return Totals(
            *connection.execute(
                "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(differs), 0) FROM records WHERE source = ?",
                (source,),
            ).fetchone()
        )


def shown(journal: Journal, source: str) -> Totals:
    with journal.reading() as connection:
        return totals(connection, source)


def test_totals_follow_every_change(tmp_path: Path) -> None:
    dice = random.Random(7)
    with closing(Journal(tmp_path / "alerts.db")) as journal:
        for source in ("one", "two"):
            entries = [entry(number, dice.randrange(1000), differs=dice.random() < 0.3) for number in range(50)]
            journal.restore(source, [*entries, *entries], [])
            assert shown(journal, source) == counted(journal, source) != Totals()
        index = JournalIndex(journal, "one")
        index.forget([f"webhooks/2024/03/01/12/30/id-{number}" for number in range(9)])
        journal.write(lambda connection: connection.execute("UPDATE records SET differs = 1 WHERE id > 'id-3'").close())
        assert shown(journal, "one") == counted(journal, "one")
        assert shown(journal, "two") == counted(journal, "two")
        index.move(Archive(Brittle(tmp_path / "archive"), "one"))
        assert shown(journal, "one") == Totals()
        assert shown(journal, "none") == Totals()


def test_a_journal_without_totals_is_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    with closing(Journal(path)) as journal:
        journal.restore("one", [entry(1, 10, differs=False), entry(2, 20, differs=True)], [])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE totals; DROP TRIGGER record_counted; DROP TRIGGER record_forgotten; DROP TRIGGER record_differs"
        )
    for _ in range(2):
        with closing(Journal(path)) as journal:
            assert shown(journal, "one") == Totals(2, 30, 1)
            assert journal.counts("one") == Counts(2, 1, 0)


def test_an_overview_reads_no_record(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "alerts.db")) as journal:
        journal.restore("one", [entry(number, 10, differs=False) for number in range(5_000)], [])
        reader = RecordReader("one", Archive(Brittle(tmp_path / "archive"), "one"), journal, has_details=True)
        steps = [0]
        connected = journal._connected

        def watched() -> sqlite3.Connection:
            connection = connected()
            connection.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1), 100)
            return connection

        journal._connected = watched  # type: ignore[method-assign]
        assert reader.overview(0.0).records == 5_000
        assert steps[0] < 50  # hundreds of instructions of sqlite; a scan has tens of thousands
