"""A block's lines are split and numbered as one line at a time would be, for any numbers and positions."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.flow_database.comma_counts import LineBlock

LINES = st.lists(st.sampled_from([b"a,b", b"aa,", b",", b"", b"x", b",,", b"y" * 70 + b",", b"," * 300]), min_size=1)
# Around every change of width, and of the digits that a run of numbers shares.
FIRST = st.sampled_from([1, 2, 9, 10, 99, 100, 999, 1000, 9_999, 10_000, 19_999, 99_999, 999_999, 2**31, 10**12 - 1])


@given(LINES, FIRST, st.integers(0, 40))
def test_lines_are_numbered_as_one_by_one(lines: list[bytes], first: int, earlier: int) -> None:
    first = max(1, first - earlier)
    block = LineBlock(b"\n".join(lines) + b"\n", fields=2)
    kept = [line for line in lines if line.count(b",") == 1]
    assert (block.lines, block.kept) == (len(lines), len(kept))
    assert b"".join(block.numbered(first)) == b"".join(b"%d,%s\n" % row for row in enumerate(kept, first))
    rejected = [(number, line) for number, line in enumerate(lines, 1) if line.count(b",") != 1]
    assert [(number, line) for number, _, line in block.rejects()] == rejected


@pytest.mark.parametrize("first", [1, 9_995, 123_450_001])
def test_a_block_of_many_runs(first: int) -> None:
    content = b"".join(b"%d,\n" % number for number in range(30_000))
    expected = b"".join(b"%d,%d,\n" % (first + number, number) for number in range(30_000))
    assert b"".join(LineBlock(content, fields=2).numbered(first)) == expected


LATER = {"asyncio", "dagster", "ijson", "lxml", "pyarrow", "pydantic", "rich", "ssl", "urllib3", "zstandard"}


def test_cleaning_imports_no_arrow_no_rich_and_no_client() -> None:
    parts = ("cli", "cli.commands.terminal", "sources.lanl_flows.cleaning")
    code = "".join(f"import flows_platform.{part}; " for part in parts)
    code += "import sys; print(*sys.modules)"
    assert not LATER & set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_numpy_starts_no_threads_of_its_own() -> None:
    code = "import os, flows_platform, numpy; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"
