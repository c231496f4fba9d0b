"""With a simulated clock rows show from their time on, late ones from their delay on; an answer is of one moment."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.flows.database import Snapshot
from api_server.flows.selection import Query, Selector, newest
from api_server.flows.simulated_clock import visible
from flows_platform.domain.simulated_clock import SECOND, LateRows, SimulatedClock, Simulation
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Row, Serve, build, build_plain, flows, insert

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = flows(600)  # ten a second, to second 60
BOUND = st.none() | st.integers(0, 70)


def ids(database: Path, query: Query) -> list[int]:
    snapshot = Snapshot.open(database, FLOWS)
    try:
        selector = Selector(snapshot, FLOWS, query)
        counted, selection = selector.count(), selector.select()
        sql = f"SELECT id FROM {selection.source}"
        found = [key for (key,) in snapshot.connection.execute(sql, (selection.first, selection.last))]
    finally:
        snapshot.close()
    assert counted == selection.count == len(found)
    return found


def shown(row: Row, simulation: Simulation, second: int) -> bool:
    key, time = int(row[0] or 0), int(row[1] or 0)
    return time + (simulation.late.delay // SECOND if key in simulation.late else 0) <= second


@pytest.fixture(scope="module", params=[build, build_plain], ids=["loaded", "plain"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = request.param(tmp_path_factory.mktemp("simulation") / "flows.db", ROWS)
    return path


@given(
    bounds=st.tuples(BOUND, BOUND),
    second=st.integers(-2, 90),
    speed=st.sampled_from([1, 7, 720]),
    late=st.builds(
        LateRows, st.sampled_from([0, 1, 50, 1000]), st.integers(0, 30).map(lambda seconds: timedelta(seconds=seconds))
    ),
)
def test_what_shows_is_what_has_happened(
    database: Path, bounds: tuple[int | None, int | None], second: int, speed: int, late: LateRows
) -> None:
    (after, before), simulation = bounds, Simulation(SimulatedClock(START, speed), late)
    wall = START + timedelta(seconds=second + 0.5) / speed
    expected = [
        row[0]
        for row in ROWS
        if shown(row, simulation, second)
        and (after is None or int(row[1] or 0) > after)
        and (before is None or int(row[1] or 0) <= before)
    ]
    assert ids(database, visible(Query(after, before), simulation, wall)) == expected
    assert ids(database, visible(Query(after, before, 7), simulation, wall)) == expected[:7]


def test_the_newest_is_what_shows(database: Path) -> None:
    simulation = Simulation(SimulatedClock(START, 60.0), LateRows(1000, timedelta(seconds=20)))
    seen = visible(Query(), simulation, START + timedelta(seconds=0.5))
    snapshot = Snapshot.open(database, FLOWS)
    try:
        assert newest(snapshot, FLOWS, seen) == (10, 109)
        assert newest(snapshot, FLOWS, visible(Query(), simulation, START)) == (None, 0)
    finally:
        snapshot.close()


def test_a_settled_range_is_read_as_without_a_clock() -> None:
    simulation = Simulation(SimulatedClock(START, 1.0), LateRows(1, timedelta(seconds=20)))
    assert visible(Query(0, 9), simulation, START + timedelta(seconds=29)) == Query(0, 9)
    assert visible(Query(0, 9), simulation, START + timedelta(seconds=28)).withheld is not None


def test_another_speed_goes_on_from_where_the_clock_is() -> None:
    clock = SimulatedClock(START, 60.0)
    later = START + timedelta(minutes=7)
    changed = clock.at_speed(5.0, later)
    assert changed.elapsed(later) == clock.elapsed(later)
    assert changed.elapsed(later + timedelta(hours=1)) - clock.elapsed(later) == timedelta(hours=5)
    assert clock.wall_time(timedelta(hours=3)) == timedelta(minutes=3)


def test_late_rows_are_the_declared_share_and_strewn() -> None:
    late = LateRows(50)
    found = [key for key in range(1, 10_001) if key in late]
    assert len(found) == 500
    assert all(1 < second - first < 100 for first, second in pairwise(found))


def test_the_server_counts_and_streams_one_moment(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is read once a request: here it advances with every reading, and every answer agrees with itself."""
    second = iter(range(1, 100))
    monkeypatch.setattr("api_server.flows.state.utc_now", lambda: START + timedelta(seconds=next(second)))
    server = serve(
        build(tmp_path / "flows.db", ROWS),
        simulation=Simulation(SimulatedClock(START, 1.0), LateRows(100, timedelta(seconds=3))),
    )
    for wire_format in (WireFormat.JSON, WireFormat.NDJSON, WireFormat.XML):
        response, body = server.get(f"/api/v1/stream/flows?format={wire_format}")
        marks = {WireFormat.JSON: b'"id":', WireFormat.NDJSON: b'"id":', WireFormat.XML: b"<id>"}
        assert int(response.headers["Record-Count"]) == body.count(marks[wire_format]) > 0
    head, _ = server.get("/api/v1/stream/flows", "HEAD")
    assert head.headers["Cache-Control"] == "no-store"
    latest = json.loads(server.get("/api/v1/flows/latest")[1])
    assert latest["time"] == 5
    assert latest["rows"] > int(head.headers["Record-Count"]) > int(response.headers["Record-Count"])


def test_rows_that_are_written_meanwhile_show_at_their_time(tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(10))
    simulation = Simulation(SimulatedClock(START, 1.0))
    with apsw.Connection(str(database)) as connection:
        insert(connection, [(900, 5, *flows(1)[0][2:])])
    assert 900 not in ids(database, visible(Query(), simulation, START + timedelta(seconds=4)))
    assert 900 in ids(database, visible(Query(), simulation, START + timedelta(seconds=5)))
