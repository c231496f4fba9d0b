"""A table computed from another: every window is replaced as a whole and equals what Python computes from the rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.domain.errors import WarehouseError
from flows_platform.domain.verification import RowDigest, Value
from flows_platform.domain.windows import Window
from flows_platform.sources.lanl_flows.schema import FLOWS, TRAFFIC_TABLE
from flows_platform.sources.lanl_flows.traffic import DIFFERING_HOURS, HOURLY_TRAFFIC
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse
from tests.warehouse.flow_rows import Row, flow, window

type Made = Callable[[Window, Sequence[Row]], Publication]

ROWS = [
    flow(1, 5, src_comp="C1"),
    flow(2, 3599, src_comp="C1", dst_comp="C1"),  # its own peer: counted once
    flow(3, 3600, src_comp="C2", dst_comp="C9"),
    flow(4, 7300, src_comp="C9", dst_comp="C1", byte_count=0),
    flow(5, 7301, src_comp="C3", dst_comp="C1"),
]
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def expected(rows: Sequence[Row]) -> RowDigest:
    """The reference: flow by flow."""
    sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    peers: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in rows:
        values = dict(zip(FLOWS.names, row, strict=True))
        source, target, second = str(values["src_comp"]), str(values["dst_comp"]), int(str(values["time"]))
        hour = (FLOWS.epoch + timedelta(hours=second // 3600) - UNIX) // timedelta(microseconds=1)
        for computer, peer in {(source, target), (target, source)}:
            added = (1, int(str(values["packet_count"])), int(str(values["byte_count"])))
            sums[hour, computer] = [a + b for a, b in zip(sums[hour, computer], added, strict=True)]
            peers[hour, computer].add(peer)
    result: list[tuple[Value, ...]] = [(*key, *numbers, len(peers[key])) for key, numbers in sums.items()]
    return RowDigest.of(result)


def differing(warehouse: Warehouse) -> list[datetime]:
    return [row["hour"] for row in warehouse.select(DIFFERING_HOURS, (), "checking")]


@pytest.mark.slow
def test_the_traffic_of_a_window_is_that_of_its_flows(warehouse: Warehouse, publication: Made) -> None:
    warehouse.ensure_table(TRAFFIC_TABLE)
    warehouse.replace_window(publication(window(0), ROWS))
    warehouse.replace_window(publication(window(1), [flow(9, 10800)]))
    first = warehouse.recompute_window(HOURLY_TRAFFIC, window(0), "run-1")
    assert (first.inserted, first.deleted) == (expected(ROWS).count, 0)
    assert warehouse.digest(TRAFFIC_TABLE) == expected(ROWS)
    assert differing(warehouse) == [FLOWS.epoch + timedelta(hours=3)]  # the other window's, which has none yet

    warehouse.recompute_window(HOURLY_TRAFFIC, window(1), "run-1")
    assert differing(warehouse) == []
    warehouse.replace_window(publication(window(0), ROWS[:2]))
    assert differing(warehouse) == [FLOWS.epoch + timedelta(hours=hour) for hour in (1, 2)]
    again = warehouse.recompute_window(HOURLY_TRAFFIC, window(0), "run-2")
    assert (again.inserted, again.deleted) == (expected(ROWS[:2]).count, first.inserted)
    assert warehouse.digest(TRAFFIC_TABLE, window(0)) == expected(ROWS[:2])
    assert warehouse.digest(TRAFFIC_TABLE, window(1)) == expected([flow(9, 10800)])

    same = warehouse.recompute_window(HOURLY_TRAFFIC, window(0), "run-2")  # the same text again runs as a new statement
    assert same.deleted == again.inserted
    warehouse.replace_window(publication(window(0), []))
    assert warehouse.recompute_window(HOURLY_TRAFFIC, window(0), "run-3").inserted == 0
    assert warehouse.count(TRAFFIC_TABLE, window(0)) == 0


@pytest.mark.slow
def test_a_query_that_fails_leaves_the_window(warehouse: Warehouse, publication: Made) -> None:
    warehouse.ensure_table(TRAFFIC_TABLE)
    warehouse.replace_window(publication(window(0), ROWS))
    warehouse.recompute_window(HOURLY_TRAFFIC, window(0), "run-1")
    with pytest.raises(WarehouseError, match="recomputing the window 2014-01-01-00:00 of flow_traffic_hourly"):
        warehouse.recompute_window(replace(HOURLY_TRAFFIC, select="SELECT nothing FROM nowhere"), window(0), "run-2")
    assert warehouse.digest(TRAFFIC_TABLE) == expected(ROWS)
