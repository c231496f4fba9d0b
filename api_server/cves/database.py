"""The server's database of CVEs: opened with the first request that needs it, read in its own threads.

The threads are its own because a remote database may be slow to answer, and streams of flows must not wait for it.
SQLAlchemy is loaded only when the database is opened.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING

from api_server.http.problems import RETRY_SECONDS, Problem, retry_after
from flows_platform.domain.errors import PlatformError

if TYPE_CHECKING:
    from flows_platform.sources.nvd_cves.queries import CveQueries

THREADS = 2
FILL = "Fill it with the source nvd_cves (`flows dev`), under the same FLOWS_SQL_URL as the server's."

# The kind of problem that only CVEs answer with, for the page at `/`.
UNAVAILABLE = "cves-unavailable"
KINDS = {
    UNAVAILABLE: "There is no database of CVEs here, or it cannot be read now. The server's operator fills it with "
    "the source nvd_cves, under the same FLOWS_SQL_URL as the server's; its log has the reason.",
}

logger = logging.getLogger(__name__)


class CveDatabase:
    """The feature creates it and closes it when the server ends."""

    def __init__(self, url: Callable[[], str] | None) -> None:
        self._url = url
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="cves")
        self._lock = Lock()
        self._queries: CveQueries | None = None

    async def run[T](self, work: Callable[["CveQueries"], T]) -> T:
        """Query the database in a thread.

        Raises:
            Problem: 503 where there is no database, or it cannot be read now.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._work(work))

    def close(self) -> None:
        """Wait for the threads, and close what is open."""
        self._pool.shutdown(cancel_futures=True)
        if self._queries is not None:
            self._queries.close()

    def _work[T](self, work: Callable[["CveQueries"], T]) -> T:
        try:
            return work(self._open())
        except PlatformError as error:
            # Neither the message nor the cause holds a password; the client sees neither.
            logger.error("CVEs cannot be read: %s", error)
            raise _unavailable("The CVEs cannot be read now; the server's log has the reason.") from None

    def _open(self) -> "CveQueries":
        if self._url is None:
            raise _unavailable("This server has no database of CVEs.")
        with self._lock:
            if self._queries is None:
                from flows_platform.sources.nvd_cves.queries import CveQueries  # noqa: PLC0415  loads SQLAlchemy
                from flows_platform.sql.engines import reader  # noqa: PLC0415  takes a third of a second

                self._queries = CveQueries(reader(self._url()))
            return self._queries


def _unavailable(detail: str) -> Problem:
    headers = retry_after(RETRY_SECONDS)
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, f"{detail} {FILL}", headers=headers)
