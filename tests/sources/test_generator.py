"""The generator: the same bytes everywhere, the exact number of rows, the file's order and its measured shape."""

import gzip
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.sample.rates import plan_hours

# Of generate(rows=5000, seed=7, days=2). If it changes, every generated file and every figure from one changes.
PINNED = "b8afe236560f5b2d076f537dc7986734cd4cebe1929364340219b9e14cad53b1"

type Row = tuple[str, ...]


def rows_of(path: Path) -> list[Row]:
    return [tuple(line.split(",")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    out = tmp_path_factory.mktemp("day") / "flows.txt"
    generate(out, rows=300_000, days=1)
    return rows_of(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    out = tmp_path_factory.mktemp("whole") / "flows.txt"
    generate(out, rows=100_000)
    return rows_of(out)


def test_the_bytes_are_pinned(tmp_path: Path) -> None:
    generate(tmp_path / "flows.txt", rows=5000, seed=7, days=2)
    assert sha256((tmp_path / "flows.txt").read_bytes()).hexdigest() == PINNED


def test_rows_seed_and_days_decide_all(tmp_path: Path) -> None:
    def content(*, seed: int = 0, rows: int = 3000, days: int = 2) -> bytes:
        generate(tmp_path / "flows.txt.gz", rows=rows, seed=seed, days=days)
        return gzip.decompress((tmp_path / "flows.txt.gz").read_bytes())

    generate(tmp_path / "plain.txt", rows=3000, days=2)
    assert content() == content() == (tmp_path / "plain.txt").read_bytes()
    assert len({content(), content(seed=1), content(rows=3001), content(days=3)}) == 4


@pytest.mark.parametrize(("rows", "days"), [(1, 1), (2, 58), (3, 58), (999, 2), (1001, 58), (70_001, 1)])
def test_exactly_the_rows_asked_for(tmp_path: Path, rows: int, days: int) -> None:
    told: list[tuple[int, int | None]] = []
    result = generate(
        tmp_path / "flows.txt", rows=rows, days=days, progress=lambda done, total: told.append((done, total))
    )
    content = (tmp_path / "flows.txt").read_bytes()
    assert (result.rows, result.bytes) == (rows, len(content))
    assert content.count(b"\n") == rows
    assert told[-1] == (rows, rows)


def test_the_full_size_is_planned_exactly() -> None:
    assert sum(plan.rows for plan in plan_hours(129_977_412, 58)) == 129_977_412


@pytest.mark.parametrize(("rows", "seed", "days"), [(0, 0, 1), (1, -1, 1), (1, 0, 0), (1, 0, 59)])
def test_what_makes_no_file_is_refused(tmp_path: Path, rows: int, seed: int, days: int) -> None:
    with pytest.raises(ConfigurationError, match="cannot generate"):
        generate(tmp_path / "flows.txt", rows=rows, seed=seed, days=days)


def test_rows_are_ordered_by_second_then_as_strings(day: list[Row], whole: list[Row]) -> None:
    for rows in (day, whole):
        keys = [(int(row[0]), ",".join(row[1:])) for row in rows]
        assert keys == sorted(keys)


def test_flows_come_on_the_measured_days(day: list[Row], whole: list[Row]) -> None:
    assert (day[0][0], day[-1][0]) == ("1", "86399")
    seconds = [int(row[0]) for row in whole]
    assert (seconds[0], seconds[-1]) == (1, 3_126_928)
    assert {second // 86400 for second in seconds} == {*range(24), *range(26, 30), 36}
    assert len({second // 10_800 for second in seconds}) == 226  # 28 days of 8 windows, and 2 of day 36


def share(rows: list[Row], holds: Callable[[Row], bool]) -> float:
    return sum(map(holds, rows)) / len(rows)


MEASURED: dict[str, tuple[Callable[[Row], bool], float, float]] = {
    "tcp": (lambda row: row[6] == "6", 0.897, 0.02),
    "udp": (lambda row: row[6] == "17", 0.078, 0.02),
    "icmp": (lambda row: row[6] == "1", 0.026, 0.01),
    "no duration": (lambda row: row[1] == "0", 0.648, 0.03),
    "a minute": (lambda row: row[1] == "60", 0.051, 0.01),
    "one packet": (lambda row: row[7] == "1", 0.365, 0.03),
    "46 bytes": (lambda row: row[8] == "46", 0.220, 0.03),
    "up to 1 KB": (lambda row: int(row[8]) <= 1024, 0.636, 0.03),
    "up to 64 KB": (lambda row: int(row[8]) <= 65536, 0.960, 0.02),
    "anonymised source port": (lambda row: row[3].startswith("N"), 0.71, 0.03),
    "anonymised target port": (lambda row: row[5].startswith("N"), 0.64, 0.03),
    "from 445": (lambda row: row[3] == "445", 0.120, 0.03),
    "to 445": (lambda row: row[5] == "445", 0.199, 0.03),
    "from the busiest": (lambda row: row[2] == "C1685", 0.041, 0.03),
}


@pytest.mark.parametrize("name", MEASURED)
def test_shares_are_the_measured_ones(day: list[Row], whole: list[Row], name: str) -> None:
    holds, measured, tolerance = MEASURED[name]
    for rows in (day, whole):
        assert share(rows, holds) == pytest.approx(measured, abs=tolerance)


def test_three_quarters_have_a_mirror_in_the_same_second(day: list[Row], whole: list[Row]) -> None:
    for rows in (day, whole):
        ends = {(row[0], *row[2:6]) for row in rows}
        mirrored = share(rows, lambda row: (row[0], row[4], row[5], row[2], row[3]) in ends)  # noqa: B023 - used at once
        assert mirrored == pytest.approx(0.763, abs=0.03)


def test_values_keep_their_bounds(day: list[Row]) -> None:
    assert all(46 * int(row[7]) <= int(row[8]) <= 2_681_847_376 for row in day)
    assert all(0 <= int(row[1]) <= 76 for row in day)
    assert all(row[2] != row[4] for row in day)
    assert max(int(row[8]) for row in day) == 2_681_847_376


def test_rows_repeat_and_some_are_equal_in_every_field(day: list[Row]) -> None:
    equal = 1 - len(set(day)) / len(day)
    assert 0 < equal < 0.05


def test_servers_are_busy_and_the_tail_is_long(day: list[Row]) -> None:
    sources = Counter(row[2] for row in day)
    top = sum(count for _, count in sources.most_common(20)) / len(day)
    assert 0.25 < top < 0.5
    assert len(sources) > 8000


def test_work_hours_are_busier_than_the_night(day: list[Row]) -> None:
    hours = Counter(int(row[0]) // 3600 for row in day)
    assert hours[10] > 5 * hours[2]
