"""Loading a clean file: every line is in the table or rejected with its reason, exactly, atomically, indexed."""

import gzip
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.flow_database.clean_lines import parse_lines
from flows_platform.flow_database.layout import SUMMARY_TABLE
from flows_platform.flow_database.load import LoadResult, load
from flows_platform.flow_database.read import DatabaseSummary, database_summary, iter_rejected, iter_rows
from flows_platform.sources.lanl_flows.schema import FLOWS

FULL_DISK = """
import resource, sys
from pathlib import Path
from flows_platform.domain.errors import StorageError
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.flow_database.load import load
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    load(Path(sys.argv[1]), Path(sys.argv[2]), FLOWS)
except StorageError as error:
    print(error)
"""


def line(number: object, time: object = 1, *, source: str = "C1", size: object = 46) -> bytes:
    return f"{number},{time},0,{source},N1,C2,445,6,1,{size}\n".encode()


def load_content(folder: Path, content: bytes) -> tuple[LoadResult, Path]:
    clean, database = folder / "clean.csv", folder / "flows.db"
    clean.write_bytes(content)
    return load(clean, database, FLOWS), database


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def facts(database: Path) -> tuple[int, ...]:
    with sqlite3.connect(database) as connection:
        row: tuple[int, ...] = connection.execute(
            f"SELECT row_count, time_sorted, ids_contiguous FROM {SUMMARY_TABLE} WHERE table_name = 'flows'"
        ).fetchone()
    connection.close()
    return row


def test_rows_arrive_exactly(tmp_path: Path) -> None:
    extremes = line(2, -(2**63), source='"a\0\x01ä', size=2**63 - 1)
    result, database = load_content(tmp_path, line(1) + extremes + line(-7, 2, source="").replace(b"\n", b"\r\n"))
    assert (result.read, result.loaded, result.rejected) == (3, 3, 0)
    assert (result.first_time, result.last_time) == (-(2**63), 2)
    assert result.database_bytes == database.stat().st_size
    assert list(iter_rows(database, FLOWS)) == [
        (-7, 2, 0, "", "N1", "C2", "445", 6, 1, 46),
        (1, 1, 0, "C1", "N1", "C2", "445", 6, 1, 46),
        (2, -(2**63), 0, '"a\0\x01ä', "N1", "C2", "445", 6, 1, 2**63 - 1),
    ]
    assert names(tmp_path) == ["clean.csv", "flows.db"]


def test_invalid_lines_are_set_aside_with_place_and_reason(tmp_path: Path) -> None:
    bad = [line(2, "noon"), line(3, 2**63), b"4,1,0,\xff,N1,C2,445,6,1,46\r\n", b"5,1\n", b"\n"]
    result, database = load_content(tmp_path, line(1) + b"".join(bad) + line(6, 9)[:-1])
    assert (result.read, result.loaded, result.rejected) == (7, 2, 5)
    assert list(iter_rejected(database)) == [
        RejectedRecord(2, "time: 'noon' is not a 64-bit integer", bad[0][:-1]),
        RejectedRecord(3, "time: '9223372036854775808' is not a 64-bit integer", bad[1][:-1]),
        RejectedRecord(4, r"src_comp: '\\xff' is not valid UTF-8", bad[2][:-1]),
        RejectedRecord(5, "expected 10 fields, got 2", bad[3][:-1]),
        RejectedRecord(6, "empty line", b""),
    ]
    assert database_summary(database, FLOWS) == DatabaseSummary(rows=2, first_time=1, last_time=9, rejected=5)
    assert facts(database) == (2, 1, 0)


def test_positions_count_across_blocks(tmp_path: Path) -> None:
    good = b"".join(line(number) for number in range(1, 50_001))  # more than one block
    result, database = load_content(tmp_path, good + b"bad\n" + line(50_001) + b"worse\n")
    assert result.read == 50_003
    assert [reject.position for reject in iter_rejected(database)] == [50_001, 50_003]


def test_an_empty_file_gives_an_empty_table(tmp_path: Path) -> None:
    result, database = load_content(tmp_path, b"")
    assert (result.read, result.loaded, result.first_time, result.last_time) == (0, 0, None, None)
    assert database_summary(database, FLOWS) == DatabaseSummary(0, None, None, 0)
    assert facts(database) == (0, 1, 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (line(1, 1) + line(2, 1) + line(3, 5), (3, 1, 1)),
        (line(1, 5) + line(2, 4), (2, 0, 1)),
        (line(1) + line(3), (2, 1, 0)),
        (line(2) + line(1), (2, 0, 1)),
        (line(5) + line(9) + line(7) + line(6) + line(8), (5, 0, 1)),
    ],
)
def test_facts_tell_order_and_gaps(tmp_path: Path, content: bytes, expected: tuple[int, ...]) -> None:
    assert facts(load_content(tmp_path, content)[1]) == expected


def test_facts_follow_rows_from_block_to_block(tmp_path: Path) -> None:
    many = b"".join(line(number, number) for number in range(1, 60_001))
    assert facts(load_content(tmp_path, many)[1]) == (60_000, 1, 1)
    assert facts(load_content(tmp_path, many + line(60_001, 1))[1]) == (60_001, 0, 1)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("DELETE FROM flows WHERE id = 2", 1),
        ("UPDATE flows SET time = 9 WHERE id = 2", 2),
        (f"INSERT INTO flows SELECT 3, {', '.join(FLOWS.names[1:])} FROM flows WHERE id = 1", 3),
    ],
)
def test_facts_are_forgotten_with_the_first_change(tmp_path: Path, change: str, rows: int) -> None:
    _, database = load_content(tmp_path, line(1) + line(2))
    with sqlite3.connect(database) as connection:
        connection.execute(change)
    connection.close()
    assert facts(database) is None
    assert database_summary(database, FLOWS).rows == rows


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (line(1) + line(2) + line(1), "line 3 repeats id 1"),
        (line(7) + b"bad\n" + line(7), "line 3 repeats id 7"),
        (b"".join(line(number) for number in range(1, 60_001)) + line(9), "line 60,001 repeats id 9"),
        (b"".join(line(number) for number in range(60_000, 0, -1)) + line(60_000), "line 60,001 repeats id 60000"),
    ],
)
def test_a_repeated_id_is_refused_and_the_old_database_stays(tmp_path: Path, content: bytes, place: str) -> None:
    _, database = load_content(tmp_path, line(1))
    before = database.read_bytes()
    with pytest.raises(InputError, match=place):
        load_content(tmp_path, content)
    assert database.read_bytes() == before
    assert names(tmp_path) == ["clean.csv", "flows.db"]


def test_a_damaged_clean_file_leaves_the_old_database(tmp_path: Path) -> None:
    _, database = load_content(tmp_path, line(1))
    before = database.read_bytes()
    packed = gzip.compress(b"".join(line(number) for number in range(1, 60_001)))
    with pytest.raises(InputError, match="truncated or damaged"):
        load_content(tmp_path, packed[:-5])
    assert database.read_bytes() == before
    assert load_content(tmp_path, packed)[0].loaded == 60_000


@pytest.mark.parametrize("limit", [10_000, 600_000, 2_000_000])
def test_a_full_disk_is_a_typed_error_that_keeps_the_old_database(tmp_path: Path, limit: int) -> None:
    _, database = load_content(tmp_path, line(1))
    before = database.read_bytes()
    clean = tmp_path / "clean.csv"
    clean.write_bytes(b"".join(line(number) for number in range(1, 60_001)))
    command = [sys.executable, "-c", FULL_DISK, str(clean), str(database), str(limit)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "flows.db cannot be written" in result.stdout
    assert database.read_bytes() == before
    assert names(tmp_path) == ["clean.csv", "flows.db"]


def test_the_clean_file_is_never_the_database(tmp_path: Path) -> None:
    (tmp_path / "clean.csv").write_bytes(line(1))
    with pytest.raises(ConfigurationError, match="two files"):
        load(tmp_path / "clean.csv", tmp_path / "clean.csv", FLOWS)


def test_a_time_range_is_a_range_read(tmp_path: Path) -> None:
    _, database = load_content(tmp_path, b"".join(line(number, number) for number in range(1, 1001)))
    with sqlite3.connect(database) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM flows WHERE time > 10 AND time <= 20").fetchall()
    connection.close()
    steps = " ".join(row[3] for row in plan)
    assert "SEARCH flows USING INDEX flows_time (time>? AND time<?)" in steps
    assert "SCAN" not in steps
    assert [row[0] for row in iter_rows(database, FLOWS, first=11, last=13)] == [11, 12, 13]


def test_loading_imports_no_pandas(tmp_path: Path) -> None:
    (tmp_path / "clean.csv").write_bytes(line(1))
    arguments = "Path(sys.argv[1]), Path(sys.argv[2]), FLOWS"
    code = FULL_DISK.split("resource.setrlimit", maxsplit=1)[0] + f"load({arguments}); print('pandas' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path / "clean.csv"), str(tmp_path / "flows.db")]
    assert subprocess.check_output(command, text=True) == "False\n"


texts = st.text(st.characters(exclude_characters=",\n", exclude_categories=["Cs"]), max_size=8)
integers = st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(integers, integers, texts, texts, texts, texts.map(lambda text: text + "."), integers), max_size=8
    )
)
def test_any_text_and_any_64_bit_integer_round_trip(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[int, int, str, str, str, str, int]]
) -> None:
    rows = [
        (number, time, size, *text, size, time, size)
        for number, (time, size, *text, _) in enumerate(((*value[:2], *value[2:6], value[6]) for value in values), 1)
    ]
    content = "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
    result, database = load_content(tmp_path_factory.mktemp("load"), content)
    assert list(iter_rows(database, FLOWS)) == rows
    assert result.loaded == len(rows)


soups = st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([line(1)[1:-1], line(1, "x")[1:-1]])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(soups)
def test_every_line_is_loaded_or_set_aside(tmp_path_factory: pytest.TempPathFactory, soup: list[bytes]) -> None:
    content = b"".join(b"%d%s\n" % (number, tail) for number, tail in enumerate(soup, 1))
    expected = parse_lines(content, FLOWS) if content else None
    result, database = load_content(tmp_path_factory.mktemp("load"), content)
    assert result.read == result.loaded + result.rejected == content.count(b"\n")
    assert list(iter_rejected(database)) == (expected.rejects if expected else [])


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all" * 100)
    empty = tmp_path / "empty.db"
    empty.touch()
    for path in (tmp_path / "missing.db", text, empty, tmp_path):
        with pytest.raises(InputError, match="is not a loaded database"):
            database_summary(path, FLOWS)
        with pytest.raises(InputError, match=r"flows load CLEAN\.csv"):
            list(iter_rejected(path))
    assert names(tmp_path) == ["empty.db", "notes.txt"]
