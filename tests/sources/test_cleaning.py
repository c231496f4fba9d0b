"""Cleaning is awk's `NF==9` and a row number, byte for byte; other lines are rejected with number and reason."""

import csv
import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.flow_database.load import load
from flows_platform.flow_database.read import iter_rows
from flows_platform.sources.lanl_flows.cleaning import CleanResult, clean
from flows_platform.sources.lanl_flows.schema import FLOWS

GOOD = b"1,0,C1065,389,C3799,N10451,6,10,5323"
HOSTILE = {
    "plain": GOOD + b"\n" + GOOD + b"\n",
    "missing last newline": GOOD + b"\n" + GOOD,
    "crlf": GOOD + b"\r\nshort,line\r\n" + GOOD + b"\r\n",
    "empty lines": b"\n\n" + GOOD + b"\n\n" + GOOD + b"\n\n",
    "empty file": b"",
    "one newline": b"\n",
    "only rejects": b"a\nb,c\n,,,,,,,,,\n",
    "eight commas then ten": b",,,,,,,\n,,,,,,,,,\n",  # the sum is right, the lines are not
    "compensating lines": GOOD + b",x\n" + GOOD.rpartition(b",")[0] + b"\n",
    "quotes": b'"1,0,C1,2,C3,4,6,1,46\n"a,b",0,C1,2,C3,4,6,1\n',
    "invalid utf-8": b"1,0,\xff\xfe,2,C3,4,6,1,46\n\xc3\n",
    "not numbers": b"noon,0,C1,2,C3,4,6,1,46\n-5,0,C1,2,C3,4,6,1,9223372036854775808\n",
    "blank fields": b",,,,,,,,\n , , , , , , , , \n",
    "control characters": b"\x01,\x1b,\x7f,\t,\v,\f,\b,\x1c,\x1e\n",
    "long line": GOOD + b"," * 70_000 + b"\n" + GOOD.replace(b"C1065", b"C" * 70_000) + b"\n",
}


def reference(content: bytes) -> tuple[bytes, list[tuple[int, str, bytes]]]:
    """The specification, a line at a time."""
    kept, rejects = b"", []
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    for number, line in enumerate(lines, 1):
        fields = line.count(b",") + 1
        if fields == 9 and line:
            kept += b"%d,%s\n" % (kept.count(b"\n") + 1, line)
        else:
            rejects.append((number, f"expected 9 fields, got {fields}" if line else "empty line", line))
    return kept, rejects


def run(folder: Path, content: bytes) -> tuple[CleanResult, bytes, list[tuple[int, str, bytes]]]:
    raw, kept, rejects = folder / "raw", folder / "clean.csv", folder / "rejects.csv"
    raw.write_bytes(content)
    result = clean(raw, kept, rejects)
    assert (result.raw_bytes, result.clean_bytes) == (raw.stat().st_size, kept.stat().st_size)
    assert result.rejects_bytes == rejects.stat().st_size
    return result, kept.read_bytes(), read_rejects(rejects)


def read_rejects(path: Path) -> list[tuple[int, str, bytes]]:
    """By Python's own reader of RFC 4180; latin-1 carries any byte through it."""
    with path.open(encoding="latin-1", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["line", "reason", "raw"]
    return [(int(line), reason, raw.encode("latin-1")) for line, reason, raw in rows]


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path: Path, content: bytes) -> None:
    result, kept, rejects = run(tmp_path, content)
    assert (kept, rejects) == reference(content)
    assert result.read == result.kept + result.rejected
    assert (result.kept, result.rejected) == (kept.count(b"\n"), len(rejects))


def awk(raw: Path) -> bytes:
    if shutil.which("awk") is None:
        pytest.skip("awk is not installed")
    pipeline = """awk -F, 'NF==9' "$1" | awk '{print NR "," $0}'"""
    command = ["sh", "-c", pipeline, "sh", str(raw)]
    return subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_kept_lines_are_those_of_awk(tmp_path: Path, content: bytes) -> None:
    _, kept, _ = run(tmp_path, content)
    assert kept == awk(tmp_path / "raw")


tokens = [GOOD, b"", b",", b",,,,,,,,", b"a", b'"', b"\r", b"\xff", b"\xc3\xa4", b" ", b"-1", b"\n", b"\n", b"\n"]
soups = st.lists(st.sampled_from(tokens), max_size=40).map(b"".join)


@settings(max_examples=40, deadline=None)
@given(soups)
def test_line_soups_are_those_of_awk(tmp_path_factory: pytest.TempPathFactory, soup: bytes) -> None:
    folder = tmp_path_factory.mktemp("soup")
    _, kept, _ = run(folder, soup)
    assert kept == awk(folder / "raw")


@settings(max_examples=200, deadline=None)
@given(st.one_of(soups, st.binary(), st.lists(st.sampled_from([*tokens, b"\0"]), max_size=60).map(b"".join)))
def test_any_bytes_are_kept_or_rejected(tmp_path_factory: pytest.TempPathFactory, soup: bytes) -> None:
    if soup.startswith((b"\x1f\x8b", b"PK", b"BZh", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return  # packed, or with a byte order mark: not unchanged
    result, kept, rejects = run(tmp_path_factory.mktemp("soup"), soup)
    assert (kept, rejects) == reference(soup)
    assert result.read == result.kept + result.rejected


def test_nul_bytes_stay(tmp_path: Path) -> None:
    _, kept, rejects = run(tmp_path, b"1,\0,C1,2,C3,4,6,1,46\n\0\n")
    assert kept == b"1,1,\0,C1,2,C3,4,6,1,46\n"
    assert rejects == [(2, "expected 9 fields, got 1", b"\0")]


def test_numbers_run_on_across_blocks(tmp_path: Path) -> None:
    content = (GOOD + b"\n") * 40_000 + b"bad\n" + (GOOD + b"\n") * 2
    _, kept, rejects = run(tmp_path, content)
    assert kept == b"".join(b"%d,%s\n" % (number, GOOD) for number in range(1, 40_003))
    assert rejects == [(40_001, "expected 9 fields, got 1", b"bad")]


def test_gzip_with_two_members_is_one_file(tmp_path: Path) -> None:
    content = HOSTILE["crlf"]
    _, kept, rejects = run(tmp_path, gzip.compress(content[:50]) + gzip.compress(content[50:]))
    assert (kept, rejects) == reference(content)


def test_a_truncated_gzip_leaves_both_old_outputs(tmp_path: Path) -> None:
    run(tmp_path, b"bad\n" + GOOD)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.csv")}
    packed = gzip.compress(b"".join(b"%d,%s\n" % (number, GOOD[2:]) for number in range(50_000)))
    (tmp_path / "raw").write_bytes(packed[:-1000])
    with pytest.raises(InputError, match="truncated or damaged"):
        clean(tmp_path / "raw", tmp_path / "clean.csv", tmp_path / "rejects.csv")
    assert {path: path.read_bytes() for path in tmp_path.glob("*.csv")} == before
    assert len(list(tmp_path.iterdir())) == 3


def test_an_output_is_never_the_input(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(GOOD)
    with pytest.raises(ConfigurationError, match="three files"):
        clean(raw, tmp_path / "x" / ".." / "raw", tmp_path / "rejects.csv")
    assert raw.read_bytes() == GOOD


def test_the_real_rows_pass_from_file_to_table(tmp_path: Path, shared_data: Path) -> None:
    raw = shared_data / "lanl" / "flows_excerpt.txt"
    lines = raw.read_text().splitlines()
    result = clean(raw, tmp_path / "clean.csv", tmp_path / "rejects.csv")
    assert (result.read, result.kept) == (218, 218)
    loaded = load(tmp_path / "clean.csv", tmp_path / "flows.db", FLOWS)
    assert (loaded.read, loaded.rejected, loaded.first_time) == (218, 0, 1)
    rows = [",".join(map(str, row)) for row in iter_rows(tmp_path / "flows.db", FLOWS)]
    assert rows == [f"{number},{line}" for number, line in enumerate(lines, 1)]
