"""What of the table shows while it is replayed: rows whose time the clock has passed, late ones after their delay."""

from dataclasses import replace
from datetime import UTC, datetime

from api_server.flows.selection import Query, Withheld
from flows_platform.domain.simulated_clock import SECOND, Replay


def utc_now() -> datetime:
    """The clock that a replay is read from."""
    return datetime.now(UTC)


def visible(query: Query, replay: Replay, wall: datetime) -> Query:
    """The query as far as the replay has come at `wall`: whoever counts and reads by it sees one moment alone."""
    reached = replay.clock.elapsed(wall) // SECOND
    before = reached if query.before is None else min(query.before, reached)
    settled = reached - replay.late.delay // SECOND
    if not replay.late.permille or before <= settled:
        return replace(query, before=before)
    return replace(query, before=before, withheld=Withheld(settled, replay.late.permille))
