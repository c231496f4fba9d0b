"""Webhooks: durable alerts a second, beside a small web service that archives them; a vendor that hangs; a list."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks import serving
from benchmarks.contest import Contender, Goal, Quantity, Row, Trial
from benchmarks.rows.files import scratch
from benchmarks.serving import Server
from benchmarks.sizes import Sizes
from flows_platform.cli.commands.hook_demo import demo_journal
from flows_platform.settings import load_settings
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.journal_index import JournalIndex
from tests.fakes.s3_servers import BUCKET, KEY_ID, SECRET, seaweed

PATH = "/api/v1/s3/alert"
SENDERS = 32
HUNG_SECONDS = 600.0
SLOW_SECONDS = 1.0  # of the vendor beside which the other service is measured
START = datetime(2024, 1, 1, tzinfo=UTC)
A_MINUTE = 23  # alerts: a million in 30 days
LISTED = (3 * 60 - 1) * A_MINUTE  # the bounds do not belong to a range
NUMBERS = itertools.count()  # of the trials, whose alerts have ids of their own
LINKS = 50_000  # names of one file, which has at most 65,000


def alerts_of(sizes: Sizes) -> int:
    """Alerts of a trial: 3,000 of 3 million rows."""
    return max(SENDERS, sizes.rows // 1000)


@dataclass(slots=True)
class Archiver:
    """A service that archives what senders post; ids differ from trial to trial."""

    server: Server
    alerts: int
    archive: str
    senders: int = SENDERS
    _last: str = field(default="", init=False)

    def trial(self, figure: str = "seconds") -> Trial:
        """All alerts, by all senders."""
        self._last = f"{next(NUMBERS):04x}"
        return self.server.deliver(PATH, self.alerts, self.senders, self._last, figure=figure)

    def result(self) -> str:
        """Whether the archive has all alerts of the last trial, of which the contenders post different numbers."""
        ids = (key.rpartition("/")[2] for key in open_store(self.archive).keys("webhooks/"))
        found = sum(one.startswith(self._last) for one in ids)
        return "all alerts" if found == self.alerts else f"{found} of {self.alerts} alerts"

    def contender(self, name: str) -> Contender:
        """As a contender by its rate."""
        return Contender(name, self.trial, self.result)


def variables(endpoint: str) -> dict[str, str]:
    """What a client of S3 reads."""
    return {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}


@contextmanager
def rates(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The other service on S3; ours on the same S3, and on files. All ask the same vendor, which answers at once."""
    with scratch(sizes) as folder, ExitStack() as stack:
        endpoint = stack.enter_context(seaweed(folder))
        vendor = stack.enter_context(serving.vendor(0, folder))
        of_s3, alerts = variables(endpoint), alerts_of(sizes)
        stack.enter_context(patch.dict(os.environ, of_s3))
        ask = {"THREATSTACK_BASE_URL": vendor.url, "THREATSTACK_API_KEY": "key"}
        prefix = of_s3 | ask | {"TS_AWS_S3_BUCKET": BUCKET, "TS_AWS_S3_PREFIX": "ours"}
        theirs = stack.enter_context(serving.s3_alerts(BUCKET, endpoint, vendor.url, folder, of_s3))
        on_s3 = stack.enter_context(serving.hooks(folder / "s3", folder, prefix))
        files = stack.enter_context(serving.hooks(folder / "files", folder, ask))
        yield [
            Archiver(theirs, max(SENDERS, alerts // 10), f"s3://{BUCKET}").contender("flask and boto3"),
            Archiver(on_s3, alerts, f"s3://{BUCKET}/ours").contender("ours, S3"),
            Archiver(files, alerts, (folder / "files" / "archive").as_uri()).contender("ours, files"),
        ]


@contextmanager
def hung(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """The 99th percentile of the seconds to an answer: ours beside a vendor that hangs, the other beside a slow one."""
    with scratch(sizes) as folder, ExitStack() as stack:
        endpoint = stack.enter_context(seaweed(folder))
        of_s3 = variables(endpoint)
        hanging = stack.enter_context(serving.vendor(HUNG_SECONDS, folder))
        slow = stack.enter_context(serving.vendor(SLOW_SECONDS, folder))
        ask = {"THREATSTACK_BASE_URL": hanging.url, "THREATSTACK_API_KEY": "key"}
        ours = stack.enter_context(serving.hooks(folder / "files", folder, ask))
        theirs = stack.enter_context(serving.s3_alerts(BUCKET, endpoint, slow.url, folder, of_s3))
        alerts, archive = max(SENDERS, alerts_of(sizes) // 10), (folder / "files" / "archive").as_uri()
        mine, half = Archiver(ours, alerts, archive), Archiver(ours, alerts, archive, SENDERS // 2)
        other = Archiver(theirs, SENDERS, f"s3://{BUCKET}")
        yield [
            Contender("flask and boto3, a vendor of one second", partial(other.trial, "p99")),
            Contender("ours, the vendor hung", partial(mine.trial, "p99")),
            Contender("ours, the vendor hung, 16 senders", partial(half.trial, "p99")),
        ]


@contextmanager
def listed(sizes: Sizes) -> Iterator[Sequence[Contender]]:
    """Three hours of an archive, and of one of ten times the alerts."""
    alerts = sizes.rows // 3
    with scratch(sizes) as folder, ExitStack() as stack:
        contenders: list[Contender] = []
        for number in (alerts // 10, alerts):
            home = folder / str(number)
            begin = archived(home, number)
            server = stack.enter_context(serving.hooks(home, folder))
            end = begin + timedelta(hours=3)
            bounds = f"start={begin:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%SZ}&limit={LISTED}"
            trial = partial(server.drain, f"{PATH}?{bounds}", LISTED)
            contenders.append(Contender("of ten times the alerts" if contenders else "of a tenth", trial))
        yield contenders


def archived(home: Path, alerts: int) -> datetime:
    """An archive of so many alerts in minutes that follow each other; gives a time in its middle.

    Names of one file cost no disk; what is in a file does not matter to a list of names.
    """
    source = home / "archive"
    source.mkdir(parents=True)
    settings = load_settings(home=home)
    journal = Journal(demo_journal(settings))
    # Reading a million alerts takes minutes.
    JournalIndex(journal, "threatstack_alerts").note(Archive(open_store(settings.archive)))
    journal.close()
    for number in range(alerts):
        if number % LINKS == 0:
            body = source / f"body-{number}"
            body.write_text('{"id": "0000", "created_at": 1704067200000}')
        minute = START + timedelta(minutes=number // A_MINUTE)
        path = source / f"webhooks/{minute:%Y/%m/%d/%H/%M}/{number:08x}"
        if number % A_MINUTE == 0:
            path.parent.mkdir(parents=True)
        os.link(body, path)
    for body in source.glob("body-*"):
        body.unlink()
    return START + timedelta(minutes=alerts // A_MINUTE // 2)


ROWS = (
    Row(
        "alerts",
        (
            Goal("durable alerts of 32 senders, files", "ours, files", "flask and boto3", at_least=100),
            Goal("durable alerts of 32 senders, S3", "ours, S3", "flask and boto3", at_least=10),
            Goal("durable alerts of 32 senders, memory", "ours, S3", quantity=Quantity.RSS, at_most=150),
        ),
        rates,
    ),
    Row(
        "alerts-hung",
        (
            Goal(
                "answer to an alert, p99, vendor hung", "ours, the vendor hung", quantity=Quantity.SECONDS, at_most=0.1
            ),
            # 32 senders that post again at once keep a core busy, and wait for each other.
            Goal(
                "answer to an alert, p99, vendor hung, 16 senders",
                "ours, the vendor hung, 16 senders",
                quantity=Quantity.SECONDS,
                at_most=0.1,
            ),
            Goal(
                "answer to an alert, p99",
                "ours, the vendor hung",
                "flask and boto3, a vendor of one second",
                quantity=Quantity.SECONDS,
            ),
        ),
        hung,
    ),
    Row(
        "alerts-list",
        (
            Goal(
                "list of three hours, archive of ten times the alerts",
                "of ten times the alerts",
                "of a tenth",
                quantity=Quantity.SECONDS,
                at_most=1.5,
            ),
        ),
        listed,
    ),
)
