"""What the flows endpoints share while the server runs: the database, threads for its SQL, the table's encoders."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from api_server.flows.database import Snapshot
from api_server.flows.selection import EVERYTHING, Query, newest
from api_server.flows.simulated_clock import utc_now, visible
from api_server.flows.streams import StreamOpener
from api_server.http.workers import Workers
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.simulated_clock import Simulation
from flows_platform.formats import encoders
from flows_platform.formats.protocol.encoder import Encoder
from flows_platform.formats.protocol.names import WireFormat


@dataclass(frozen=True, slots=True)
class FlowsConfig:
    """The settings of the flows endpoints."""

    database: Path
    # Compare each page that is read with the checksum that the load wrote. Costs some 2 % of a stream.
    compare_pages: bool = True
    # Threads that run sqlite. Streams share them a chunk at a time, so a slow reader holds none.
    worker_threads: int = 4
    # Connections that format one stream's chunks side by side. Two are 1.5 times one on two cores.
    connections_per_stream: int = 2
    # Hold back what has not happened yet by this clock; None shows all rows at once.
    simulation: Simulation | None = None


class FlowsState:
    """The feature creates it with the app and closes it when the server ends."""

    def __init__(self, config: FlowsConfig, schema: TableSchema) -> None:
        self.config, self.schema = config, schema
        self.workers = Workers(config.worker_threads)
        lanes, compared = config.connections_per_stream, config.compare_pages
        self.streams = StreamOpener(config.database, schema, self.workers, lanes, compared=compared)
        self._encoder: Callable[[WireFormat], Encoder] = lru_cache(lambda chosen: encoders.for_format(chosen, schema))

    def encoder(self, wire_format: WireFormat) -> Encoder:
        """The encoder of a format; the first call for Arrow takes a third of a second, so call it in a thread."""
        return self._encoder(wire_format)

    def snapshot(self) -> Snapshot:
        """The database as it is now; raises as `Snapshot.open` does. Runs SQL: call it in a thread."""
        return Snapshot.open(self.config.database, self.schema, compared=self.config.compare_pages)

    def visible(self, query: Query) -> Query:
        """The query as of now. Call it once a request: what is counted and read by it is of one moment."""
        return visible(query, self.config.simulation, utc_now()) if self.config.simulation else query

    def newest(self) -> tuple[int | None, int]:
        """The newest time and the number of rows that show now; None and 0 without rows. Runs SQL, as `snapshot`."""
        snapshot = self.snapshot()
        try:
            return newest(snapshot, self.schema, self.visible(EVERYTHING))
        finally:
            snapshot.close()

    def check(self) -> None:
        """Open the database and close it; raises as `Snapshot.open` does. Runs SQL."""
        self.snapshot().close()

    async def run[T](self, work: Callable[[], T]) -> T:
        """Do blocking work in one of the sqlite threads."""
        return await self.workers.run(work)

    def close(self) -> None:
        """Wait for the threads, once every stream has ended."""
        self.workers.close()
