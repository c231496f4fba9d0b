"""Webhooks as a feature of the server: opens archive, journal, receivers and detail workers of all sources."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from threading import Event, Thread

from api_server.config import ServerConfig
from api_server.hooks import openapi, paths, problems
from api_server.hooks.read_routes import ReadRoutes, Source
from api_server.hooks.receive_routes import ReceiveRoutes
from api_server.hooks.streams import RecordStreams
from api_server.hooks.threatstack_routes import ThreatStackRoutes
from api_server.http.admission import Admission
from api_server.http.bodies import BodyReader
from api_server.http.exposure import is_loopback
from api_server.http.feature import Description, Endpoint, Feature, Handler, PageSections
from api_server.http.problems import Problem
from flows_platform.domain.errors import ConfigurationError, StorageError
from flows_platform.runtime.progress_log import log_progress
from flows_platform.stores.object_store import ObjectStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.archived_records import RecordReader
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.detail_worker import DetailWorker, Vendor
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver

FORMS = 1 << 20  # total size of the forms that are held at a time
READINGS = 8  # ranges that are read at a time; each holds at most some 20 MB

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HooksConfig:
    """The settings of webhooks.

    Args:
        declarations: The declared sources.
        store: Opens the archive's store.
        journal: Path of the journal.
        environment: Looks up secrets by the names of their variables.
        vendors: Opens the vendor of a source, by the names of the sources whose details are fetched.
        deliveries: Number of deliveries that are processed at a time; further ones get a 503.
        body_seconds: Seconds that a body may take to arrive.
        body_bytes: Total size of the bodies that are held at a time.
        may_be_emptied: Whether an archive that lost its newest record was emptied on purpose; else it is an error.
        drain_seconds: Seconds between two tries to store deliveries that could not be stored.
    """

    declarations: Sequence[WebhookDeclaration]
    store: Callable[[], ObjectStore]
    journal: Path
    environment: Callable[[str], str | None]
    vendors: Mapping[str, Callable[[], Vendor]] = field(default_factory=dict)
    deliveries: int = 64
    body_seconds: float = 10
    body_bytes: int = 32 << 20
    may_be_emptied: bool = False
    drain_seconds: float = 30


class HooksFeature(Feature):
    """Receives webhooks and serves their archive. Senders prove who they are, so they need no token of this server."""

    source = "webhooks"

    def __init__(self, config: HooksConfig) -> None:
        self._config = config
        self._bodies = BodyReader(config.body_seconds, config.body_bytes, "deliveries")
        self._forms = BodyReader(config.body_seconds, FORMS, "readings")
        self._admission = Admission(config.deliveries, "deliveries")
        self._receivers: list[Receiver] = []
        self._workers: dict[str, DetailWorker] = {}  # by source
        self._sources: dict[str, Source] = {}
        self._streams = RecordStreams()
        self._readings = Admission(READINGS, "readings")
        self._reading = ReadRoutes(self._sources, self._streams, self._readings)
        self._failed, self._stopped = Event(), Event()
        self._threads = ThreadPoolExecutor(config.deliveries, thread_name_prefix="delivery")
        self._closing = ExitStack()

    def description(self) -> Description:
        return openapi.description(self._config.declarations)

    def endpoints(self) -> Mapping[str, Endpoint]:
        found = self._reading.endpoints()
        for source in self._sources.values():
            for base in paths.threatstack_bases(source.declaration.paths):
                routes = ThreatStackRoutes(base, source, self._streams, self._readings, self._forms)
                found |= routes.endpoints()
        return found

    def methods(self) -> Mapping[str, Sequence[str]]:
        return {paths.DETAIL: ["POST"]}

    def handlers(self) -> Mapping[type[Exception], Handler]:
        return {Problem: problems.on_problem}

    def hooks(self) -> Mapping[str, Endpoint]:
        found: dict[str, Endpoint] = {}
        for receiver in self._receivers:
            routes = ReceiveRoutes(receiver, self._bodies, self._admission, self._threads, self._failed.set)
            found |= routes.endpoints()
        return found

    async def page(self, base: str, *, shows_data: bool) -> PageSections:  # noqa: ARG002  it shows no data
        listed = "".join(
            f"<li><code>{escape(base + path)}</code></li>" for one in self._config.declarations for path in one.paths
        )
        return PageSections(usage=f"<h2>Webhooks</h2>\n<p>Vendors post to:</p>\n<ul>{listed}</ul>\n\n")

    def check(self) -> None:
        """Open archive and journal, and start to fetch details.

        A lost journal is rebuilt from the archive, and interrupted deliveries are stored.

        Raises:
            ConfigurationError: a secret is missing, or cannot verify anything.
            StorageError: archive or journal cannot be used.
        """
        secrets = [one.secrets(self._config.environment) for one in self._config.declarations]
        store = self._config.store()
        journal = Journal(self._config.journal)
        self._closing.callback(journal.close)
        self._closing.callback(self._streams.close)
        for declaration, found in zip(self._config.declarations, secrets, strict=True):
            archive = Archive(store, declaration.folder)
            due = self._open_details(declaration.name, archive, journal)
            self._receivers.append(Receiver(declaration, found, archive, journal, due))
            reader = RecordReader(declaration.name, archive, journal, has_details=due is not None)
            self._sources[declaration.name] = Source(declaration, reader, due)
        for receiver in self._receivers:
            receiver.forget_another_archive(emptied=self._config.may_be_emptied)
            # guard: a lost journal is rebuilt
            if not receiver.is_indexed:
                name = receiver.declaration.name
                logger.info("%s: rebuilding the journal from the archive before deliveries are accepted", name)
                count = receiver.reindex(log_progress(partial(logger.info, f"{name}: %s"), "objects"))
                logger.info("%s: the journal has %d records", name, count)
        for worker in self._workers.values():
            worker.start()
            self._closing.callback(worker.close)
        self._closing.callback(self._threads.shutdown)
        self._failed.set()  # an earlier process may have left deliveries open
        drainer = Thread(target=self._drain, name="drain", daemon=True)
        drainer.start()
        self._closing.callback(drainer.join)
        self._closing.callback(self._stop)

    def _open_details(self, source: str, archive: Archive, journal: Journal) -> Callable[[], None] | None:
        """A function that wakes the worker which fetches a source's details; None if its details are not fetched."""
        if source not in self._config.vendors:
            return None
        worker = DetailWorker(DetailQueue(journal, source), archive, self._config.vendors[source](), log=logger)
        self._workers[source] = worker
        return worker.wake

    def check_exposure(self, config: ServerConfig, address: str) -> None:
        open_to_all = [one.name for one in self._config.declarations if not one.webhook.proves]
        # guard: strangers prove themselves
        if open_to_all and not is_loopback(address) and not config.without_tokens:
            raise ConfigurationError(
                f"{address} can be reached from other machines, and {open_to_all[0]} takes deliveries from everyone.",
                remedy="Declare how its sender proves itself, or serve everyone with --no-tokens.",
            )

    async def healthy(self) -> None:
        with problems.reading_archive():
            # One row of the journal: counting its records would take longer each day.
            await asyncio.to_thread(lambda: [receiver.is_indexed for receiver in self._receivers])

    def close(self) -> None:
        self._closing.close()

    def _stop(self) -> None:
        self._stopped.set()
        self._failed.set()

    def _drain(self) -> None:
        """Store deliveries that could not be stored, whether or not their senders send them again."""
        while self._failed.wait() and not self._stopped.is_set():
            self._failed.clear()
            try:
                for receiver in self._receivers:
                    receiver.drain()
            except StorageError as error:
                logger.warning("deliveries wait to be stored: %s", error)
                self._stopped.wait(self._config.drain_seconds)
                self._failed.set()
