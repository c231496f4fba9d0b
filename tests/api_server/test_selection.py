"""Selections over tables of every shape hold exactly the rows of the query, in id order, and as many as they say."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_server.flows.chunks import ChunkReader
from api_server.flows.database import Snapshot
from api_server.flows.selection import Query, Selector, newest
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import INT64_MAX, INT64_MIN
from flows_platform.domain.verification import Value
from flows_platform.formats.encoders import for_format
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Row, build, build_plain, flow, flows, insert


def touched(path: Path, rows: Sequence[Row]) -> Path:
    """A loaded database that was changed in place, so that it has no facts."""
    build(path, rows[:-1])
    connection = apsw.Connection(str(path))
    insert(connection, rows[-1:])
    assert connection.execute("SELECT count(*) FROM load_facts").get == (0 if rows else 1)
    connection.close()
    return path


SHAPES: dict[str, Callable[[Path, Sequence[Row]], Path]] = {
    "loaded": build,
    "touched": touched,
    "plain": build_plain,
    "plain, WITHOUT ROWID": lambda path, rows: build_plain(path, rows, "id PRIMARY KEY", "WITHOUT ROWID"),
    "plain, id beside the rowid": lambda path, rows: build_plain(path, rows, "id INT PRIMARY KEY"),
    "plain, no key": lambda path, rows: build_plain(path, rows, "id INTEGER"),
}
IDS = st.one_of(st.integers(1, 60), st.integers(INT64_MIN, INT64_MAX))
BOUND = st.none() | st.integers(0, 12)
PAIRS = st.lists(st.tuples(IDS, st.integers(0, 12)), max_size=30, unique_by=lambda pair: pair[0])


def read(database: Path, query: Query, chunk_rows: int = 3) -> list[int]:
    """The ids as a stream would bring them; the counts must agree."""
    encoder = for_format(WireFormat.NDJSON, FLOWS)
    snapshot = Snapshot.open(database, FLOWS)
    try:
        counted = Selector(snapshot, FLOWS, query).count()
        selection = Selector(snapshot, FLOWS, query).select()
        reader = ChunkReader(snapshot, FLOWS, selection, encoder)
        chunks = [reader.read(*span) for span in selection.spans(chunk_rows)]
    finally:
        snapshot.close()
    lines = b"".join(chunk.data for chunk in chunks).splitlines()
    assert len(lines) == counted == selection.count == sum(chunk.rows for chunk in chunks)
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS, after=BOUND, before=BOUND, limit=st.none() | st.integers(1, 40))
def test_exactly_the_rows_of_the_query(
    shape: str, pairs: list[tuple[int, int]], after: int | None, before: int | None, limit: int | None
) -> None:
    rows = [flow(1, id=number, time=time) for number, time in pairs]
    expected = sorted(
        number for number, time in pairs if (after is None or time > after) and (before is None or time <= before)
    )[:limit]
    with TemporaryDirectory() as folder:
        database = SHAPES[shape](Path(folder) / "flows.db", rows)
        assert read(database, Query(after, before, limit)) == expected


@pytest.mark.parametrize("gap", [[], [500], list(range(3, 900, 2))], ids=["contiguous", "one gap", "every other"])
def test_a_sorted_table_is_walked_by_id(tmp_path: Path, gap: list[int]) -> None:
    rows = [row for row in flows(1000) if row[0] not in gap]
    database = build(tmp_path / "flows.db", rows)
    for query in (Query(), Query(9, 49), Query(9, 49, 333), Query(200, 300), Query(5, 5), Query(None, None, 1)):
        expected = [
            number
            for number, time, *_ in rows
            if (query.after is None or time > query.after) and (query.before is None or time <= query.before)  # type: ignore[operator]
        ]
        assert read(database, query, 100) == expected[: query.limit]
    snapshot = Snapshot.open(database, FLOWS)
    selection = Selector(snapshot, FLOWS, Query(9, 49)).select()
    assert selection.shared
    plan = str(snapshot.connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {selection.source}", (1, 2)).fetchall())
    assert "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan
    snapshot.close()


def test_a_window_is_found_by_the_index(tmp_path: Path) -> None:
    database = build(tmp_path / "flows.db", flows(1000))
    snapshot = Snapshot.open(database, FLOWS)
    plans: list[str] = []

    def note(_: apsw.Cursor, sql: str, bindings: object) -> bool:
        plans.append(sql)
        return True

    snapshot.connection.exec_trace = note
    Selector(snapshot, FLOWS, Query(9, 49, 10)).select()
    snapshot.connection.exec_trace = None
    assert len(plans) == 2
    for sql in plans:
        plan = str(snapshot.connection.execute(f"EXPLAIN QUERY PLAN {sql}", (9, 49)).fetchall())
        assert "SEARCH flows USING COVERING INDEX flows_time" in plan
        assert "TEMP B-TREE" not in plan
    snapshot.close()


@pytest.mark.parametrize("time", [None, "noon", 1.5])
def test_a_time_that_is_no_integer_is_not_passed_over(tmp_path: Path, time: Value) -> None:
    rows = [flow(1), (*flow(2)[:1], time, *flow(2)[2:])]
    database = build_plain(tmp_path / "flows.db", rows)
    with pytest.raises(InputError, match=r"time"):
        read(database, Query(0, None))
    with pytest.raises(InputError, match=r"the row with id 2 holds"):
        read(database, Query())


@pytest.mark.parametrize("declaration", ["id TEXT", "id VARCHAR(9) PRIMARY KEY"])
def test_ids_held_as_text_are_refused(tmp_path: Path, declaration: str) -> None:
    database = build_plain(tmp_path / "flows.db", flows(3), declaration)
    with pytest.raises(InputError, match="declares id as"):
        read(database, Query())


def test_the_newest_time(tmp_path: Path) -> None:
    for name, rows, expected in (("empty.db", [], (None, 0)), ("full.db", flows(25), (2, 25))):
        for shape in ("loaded", "plain"):
            snapshot = Snapshot.open(SHAPES[shape](tmp_path / f"{shape}-{name}", rows), FLOWS)
            assert newest(snapshot, FLOWS) == expected
            snapshot.close()
