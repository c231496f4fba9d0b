"""Which rows show under a simulated clock: those whose time it has passed, late ones after their delay."""

from dataclasses import replace
from datetime import UTC, datetime

from api_server.flows.selection import Query, Withheld
from flows_platform.domain.simulated_clock import SECOND, Simulation


def utc_now() -> datetime:
    """The time by which the simulated clock is read."""
    return datetime.now(UTC)


def visible(query: Query, simulation: Simulation, wall: datetime) -> Query:
    """The query up to where the simulated clock is at `wall`: what is counted and read by it is of one moment."""
    reached = simulation.clock.elapsed(wall) // SECOND
    before = reached if query.before is None else min(query.before, reached)
    settled = reached - simulation.late.delay // SECOND
    if not simulation.late.permille or before <= settled:
        return replace(query, before=before)
    return replace(query, before=before, withheld=Withheld(settled, simulation.late.permille))
