"""The flows endpoints as a feature of the server."""

from collections.abc import Mapping

from api_server.flows import openapi, paths
from api_server.flows.database import count_no_memory
from api_server.flows.latest import latest_endpoint
from api_server.flows.page import sections
from api_server.flows.problems import HANDLERS
from api_server.flows.routes import stream_endpoint
from api_server.flows.state import FlowsConfig, FlowsState
from api_server.http.feature import Description, Endpoint, Feature, Handler, PageSections
from flows_platform.domain.schema import TableSchema
from flows_platform.flow_database.page_checksums import protection
from flows_platform.sources.lanl_flows.schema import FLOWS


class FlowsFeature(Feature):
    """Streams of one table of a read-only sqlite database."""

    def __init__(self, config: FlowsConfig, schema: TableSchema = FLOWS) -> None:
        self.source = str(config.database)
        self._state = FlowsState(config, schema)

    def description(self) -> Description:
        return openapi.description(self._state.schema)

    def endpoints(self) -> Mapping[str, Endpoint]:
        streams = {path: stream_endpoint(self._state, formats) for path, formats in paths.STREAMS.items()}
        return {**streams, paths.LATEST: latest_endpoint(self._state)}

    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        held = await self._state.run(self._state.newest) if shows_data else None
        return sections(self._state.schema, base, held)

    def handlers(self) -> Mapping[type[Exception], Handler]:
        return HANDLERS

    def prepare(self) -> None:
        count_no_memory()

    def caution(self) -> str:
        """What to say where pages are not compared with checksums."""
        config = self._state.config
        reason = protection(config.database) if config.compare_pages else "--no-page-checks is given"
        return f"damage to the file would be served, since its pages are not compared: {reason}" if reason else ""

    def check(self) -> None:
        """Open the database.

        Raises:
            InputError: there is no such file, it is not a database, or it lacks the table or a column of it.
        """
        self._state.check()

    async def healthy(self) -> None:
        await self._state.run(self._state.check)

    def close(self) -> None:
        self._state.close()
