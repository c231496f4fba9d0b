"""What the routes share while the server runs: settings, threads, the table's encoders. One object, kept in the app."""

from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request

from api_server.config import ServerConfig
from api_server.cves.database import CveDatabase
from api_server.flows.database import Snapshot
from api_server.flows.selection import Query
from api_server.flows.simulated_clock import utc_now, visible
from api_server.flows.streams import StreamOpener
from api_server.http.admission import Admission
from api_server.http.tokens import TokenFile
from api_server.http.workers import Workers
from flows_platform.domain.schema import TableSchema
from flows_platform.formats import encoders
from flows_platform.formats.protocol.encoder import Encoder
from flows_platform.formats.protocol.names import WireFormat


class ServerState:
    """Made with the app, closed with its lifespan."""

    def __init__(self, config: ServerConfig, schema: TableSchema) -> None:
        self.config, self.schema = config, schema
        self.workers = Workers(config.worker_threads)
        self.tokens = TokenFile(config.tokens) if config.tokens else None
        self.admission = Admission(config.active_streams)
        lanes, compared = config.connections_per_stream, config.compare_pages
        self.streams = StreamOpener(config.database, schema, self.workers, lanes, compared=compared)
        self.cves = CveDatabase(config.cves_url)
        self._encoder: Callable[[WireFormat], Encoder] = lru_cache(lambda chosen: encoders.for_format(chosen, schema))

    def encoder(self, wire_format: WireFormat) -> Encoder:
        """The encoder of a format; the first call for Arrow takes a third of a second, so call it in a thread."""
        return self._encoder(wire_format)

    def snapshot(self) -> Snapshot:
        """The database as it is now; raises as `Snapshot.open` does. Runs SQL: call it in a thread."""
        return Snapshot.open(self.config.database, self.schema, compared=self.config.compare_pages)

    def visible(self, query: Query) -> Query:
        """The query as of now: ask once a request, and count and read by what it gives."""
        return visible(query, self.config.replay, utc_now()) if self.config.replay else query

    async def run[T](self, work: Callable[[], T]) -> T:
        """Do blocking work in one of the sqlite threads."""
        return await self.workers.run(work)

    def close(self) -> None:
        """Wait for the threads, once every stream has ended."""
        self.workers.close()
        self.cves.close()


def state_of(request: Request) -> ServerState:
    """The state of the app that a request came to."""
    state: ServerState = request.app.state.server
    return state
