"""Columns that do not come from the record: what contradicts them is refused with its line and key."""

from pathlib import Path

import pytest

from tests.components.mistaken import fault_of, loaded, mistaken

GOOD = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: sightings
  api:
    url: https://feed.example/v1/sightings
    format: json
    time: {after: from, before: to, before_inclusive: false}
    verification: count
  columns:
    - {name: id, required: true}
    - {name: window_at, type: timestamp, from: window_start, required: true}
    - {name: fetched, type: timestamp, from: fetched_at, required: true}
    - {name: extra_fields, type: json}
  time: window_at
  key: id
  extra: extra_fields
  partitions: {cron: 0 */3 * * *, start: 2024-03-01T00:00:00}
"""


def test_the_declaration_that_the_mistakes_are_made_in_is_a_good_one(tmp_path: Path) -> None:
    loaded(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("from: fetched_at", "from: now", "12: columns.2.from: it is one of window_start, window_end"),
        (
            "fetched, type: timestamp",
            "fetched",
            "12: columns.2.from: fetched_at is an instant: declare `type: timestamp`",
        ),
        (
            "from: fetched_at",
            "from: fetched_at, path: a",
            "12: columns.2.path: the value does not come from the record, but from `from`",
        ),
        ("from: fetched_at", "from: fetched_at, written: iso", "12: columns.2.written: the value does not"),
        ("fetched, type: timestamp", "fetched, type: date", "12: columns.2.from: fetched_at is an instant"),
        (
            "fetched, type: timestamp, from: fetched_at",
            "fetched, type: date, from: window_end",
            "12: columns.2.from: dates need windows of whole days that start at midnight in UTC",
        ),
        ("from: window_start", "from: window_end", "14: time: window_end is not inside the window; window_start is"),
        ("time: window_at", "time: fetched", "14: time: fetched_at is not inside the window; window_start is"),
        (
            "before: to, before_inclusive: false",
            "stop: beyond",
            "7: api.time.stop: rows that get the window's start do not show which record is past it",
        ),
        (", before_inclusive: false", "", "7: api.time: rows that get the window's start do not show to which"),
        (
            "before_inclusive: false",
            "before_inclusive: false, exact: false",
            "7: api.time: rows that get the window's start do not show to which",
        ),
        ("key: id", "key: [window_at, fetched]", "15: key: all rows of a window have the same: a column of the"),
        (
            "verification: count",
            "verification: digest",
            "8: api.verification: the source's digest cannot cover the column 'window_at', which comes from window_s",
        ),
        (
            "verification: count",
            "paging: {kind: continue_from, parameter: since, column: fetched}",
            "8: api.paging.column: 'fetched' does not come from the record",
        ),
        ("{name: extra_fields, type", "{name: extra_fields, from: window_start, type", "13: columns.3."),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    told = fault_of(tmp_path, mistaken(GOOD, right, wrong))
    assert told.startswith(message), told
