"""Snapshots: what contradicts them is refused with its line and key."""

from pathlib import Path

import pytest

from flows_platform.components.loader import load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from tests.components.mistaken import fault_of, loaded, mistaken

GOOD = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: catalogue
  api:
    url: https://feed.example/v1/catalogue.json
    format: json
    snapshot: true
    total: count
    verification: count
  columns:
    - {name: id, required: true}
    - {name: window_at, type: timestamp, from: window_start, required: true}
    - {name: changed, type: timestamp, required: true}
  time: window_at
  key: id
  partitions: {cron: 0 0 * * *, start: 2024-03-01T00:00:00}
"""


def test_a_snapshot_looks_back_on_nothing(tmp_path: Path) -> None:
    for right, wrong in (("", ""), ("  key: id\n", "  key: id\n  look_back: 0\n")):
        table = loaded(tmp_path, mistaken(GOOD, right, wrong))
        assert (table.look_back, table.snapshot, table.shrink_rule.snapshot) == (0, True, True)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("snapshot: true", "snapshot: false", "4: api: `time` is missing: say how a range is requested, or declare"),
        (
            "snapshot: true",
            "snapshot: true\n    time: {after: from, before: to, before_inclusive: false}",
            "8: api.time: a snapshot is the whole list: leave `time` out, or `snapshot`",
        ),
        (
            "time: window_at",
            "time: changed",
            "14: time: the rows of a snapshot belong to its window: 'changed' must be",
        ),
        ("v1/catalogue", "v1/{start:%Y}", "5: api.url: it names a bound of a range, and a snapshot has none"),
        (
            "total: count",
            "parameters: {since: '{end}'}",
            "8: api.parameters.since: it names a bound of a range, and a snapshot has none",
        ),
        ("  key: id\n", "  key: id\n  look_back: 2\n", "16: look_back: a snapshot's earlier windows keep the lists"),
        ("  key: id\n", "  key: id\n  moving: true\n", "16: moving: every window of a snapshot has the whole list"),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    told = fault_of(tmp_path, mistaken(GOOD, right, wrong))
    assert told.startswith(message), told


def test_a_table_in_python_cannot_be_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    head, _, tail = GOOD.partition("  columns:\n")
    path.write_text(head + "  table: some.module:NAME\n" + tail[tail.index("  partitions") :])
    with pytest.raises(ConfigurationError, match=r"api\.snapshot: it needs `columns`: a table in Python has no column"):
        load_declaration(path, Settings())
