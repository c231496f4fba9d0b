"""A wrong, cut or packed raw or clean file: read as what it is, or refused by its kind before anything is replaced."""

import bz2
import gzip
import io
import lzma
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows_platform.cli import app
from flows_platform.domain.errors import InputError
from flows_platform.flow_database.line_blocks import line_blocks
from flows_platform.flow_database.read import iter_rejected, iter_rows
from flows_platform.flow_database.replacement import Counted, ReplacementRules, require_replaceable
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.assets import clean_flows, flows_database
from flows_platform.sources.lanl_flows.schema import FLOWS, RAW_FIELDS

HEADER = ",".join(RAW_FIELDS).encode()


def raw_lines(rows: int) -> bytes:
    return b"".join(b"%d,0,C1065,389,C3799,N10451,6,10,5323\n" % (number // 10) for number in range(rows))


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("flows.txt",):
            archive.writestr(name, content)
    return packed.getvalue()


def marked(archive: bytes, flags: int, method: int) -> bytes:
    """An archive of one file whose headers, local and central, say so."""
    data = bytearray(archive)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.rindex(mark) + place
        data[at : at + 4] = struct.pack("<HH", flags, method)
    return bytes(data)


def tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("flows.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def members(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: pack(content[:70]) + pack(content[70:])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip, two members": members(gzip.compress),
    "bzip2": bz2.compress,
    "bzip2, two members": members(bz2.compress),
    "xz": lzma.compress,
    "xz, two streams with padding": lambda content: (
        lzma.compress(content[:70]) + bytes(4) + lzma.compress(content[70:])
    ),
    "zip": zipped,
    "zip of a Mac": lambda content: zipped(content, "set/", "set/flows.txt", "__MACOSX/set/._flows.txt"),
}


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def failure(result: Result) -> str:
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, bytes]:
    """Good files of 200 rows at their paths, by name."""
    (tmp_path / "good.txt").write_bytes(raw_lines(200))
    assert call("clean", tmp_path / "good.txt", "--out", tmp_path / "clean.csv").exit_code == 0
    assert call("load", tmp_path / "clean.csv", "--database", tmp_path / "flows.db").exit_code == 0
    return files(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("clean.csv", "clean.rejected.csv", "flows.db")}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_packed_files_give_the_rows_of_the_plain_one(
    tmp_path: Path, kept: dict[str, bytes], pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "raw").write_bytes(pack(raw_lines(200)))
    assert call("clean", tmp_path / "raw", "--out", tmp_path / "clean.csv").exit_code == 0
    assert files(tmp_path) == kept


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip"])
@pytest.mark.parametrize("cut", [0.3, 0.9, -1])
def test_a_cut_file_is_refused_with_the_place(tmp_path: Path, kept: dict[str, bytes], kind: str, cut: float) -> None:
    whole = PACKED[kind](raw_lines(2000))
    (tmp_path / "raw").write_bytes(whole[: int(cut) if cut < 0 else int(len(whole) * cut)])
    told = failure(call("clean", tmp_path / "raw", "--out", tmp_path / "clean.csv"))
    assert f"raw is a truncated or damaged {kind} file" in told
    assert "to byte" in told
    assert files(tmp_path) == kept


@pytest.mark.parametrize("kind", ["bzip2", "xz"])
def test_what_follows_a_member_and_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    """Python's own readers take this for the end of the file."""
    one = PACKED[kind](raw_lines(100))
    for rest in (one.replace(one[:3], b"XXX", 1), b"garbage", one[:9]):
        (tmp_path / "raw").write_bytes(one + rest)
        with pytest.raises(InputError, match=f"damaged {kind} file"):
            list(line_blocks(tmp_path / "raw"))


FOREIGN = {
    "UTF-16": (raw_lines(9).decode().encode("utf-16"), "is UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    "UTF-16, unmarked": (raw_lines(9).decode().encode("utf-16-be"), "looks like UTF-16BE", "iconv -f UTF-16BE"),
    "UTF-32": (raw_lines(9).decode().encode("utf-32"), "is UTF-32 text", "iconv -f UTF-32"),
    "UTF-16 in gzip": (gzip.compress("1,2\n".encode("utf-16")), "unpacked from gzip, is UTF-16", "iconv"),
    "packed twice": (bz2.compress(gzip.compress(raw_lines(9))), "is a gzip file again", "Unpack it once"),
    "zip of two": (zipped(raw_lines(9), "a.txt", "b.txt"), "a zip archive of 2 files (a.txt, b.txt)", "Unpack it"),
    "zip with a password": (marked(zipped(raw_lines(9)), 1, 8), "a zip archive with a password", "Unpack it"),
    "zip by Deflate64": (marked(zipped(raw_lines(9)), 0, 9), "is a zip archive that is not read here", "Unpack it"),
    "zip of none": (zipped(b"", "folder/"), "a zip archive of 0 files", "Unpack it"),
    "tar": (tarred(raw_lines(9)), "is a tar archive", "Unpack it"),
    "tar in gzip": (gzip.compress(tarred(raw_lines(9))), "is a tar archive", "Unpack it"),
    "zstd": (bytes.fromhex("28b52ffd") + bytes(40), "compressed with zstd", "Unpack it"),
    "empty": (b"", "holds no lines", "--allow-shrink"),
    "empty in xz": (lzma.compress(b""), "holds no lines", "--allow-shrink"),
    "a page": (b"<!DOCTYPE html>\n<title>Not found</title>\n", "line 1: expected", "--allow-shrink"),
    "old Mac": (raw_lines(99).replace(b"\n", b"\r"), "lines end in carriage returns alone", "--allow-shrink"),
    "two in a hundred": (
        raw_lines(98) + b"x\ny\n",
        "has 2 rejected lines among 100, more than 1.00%",
        "--max-rejected-",
    ),
    "fewer": (raw_lines(99), "99 rows where", "--max-shrink"),
    "only a header": (HEADER + b"\n", "gives no rows", "--allow-shrink"),
}


@pytest.mark.parametrize(("content", "reason", "remedy"), FOREIGN.values(), ids=FOREIGN)
def test_a_wrong_file_replaces_nothing(
    tmp_path: Path, kept: dict[str, bytes], content: bytes, reason: str, remedy: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    told = failure(call("clean", wrong, "--out", tmp_path / "clean.csv"))
    assert str(wrong) in told
    assert reason in told
    assert remedy in told
    assert str(wrong) in failure(call("load", wrong, "--database", tmp_path / "flows.db"))
    assert files(tmp_path) == kept


def test_a_load_names_what_is_no_clean_file(tmp_path: Path, kept: dict[str, bytes]) -> None:
    told = failure(call("load", tmp_path / "good.txt", "--database", tmp_path / "flows.db"))
    assert "all of its 200 lines were rejected" in told
    assert "line 1: expected 10 fields, got 9" in told
    assert "`flows clean` numbers them" in told
    (tmp_path / "other.db").write_bytes(kept["flows.db"])
    assert "is an sqlite database" in failure(call("load", tmp_path / "other.db", "--database", tmp_path / "flows.db"))
    assert files(tmp_path) == kept


def test_who_means_it_says_so(tmp_path: Path, kept: dict[str, bytes]) -> None:
    few = tmp_path / "few.txt"
    few.write_bytes(raw_lines(10) + b"bad\n")
    clean = ("clean", few, "--out", tmp_path / "clean.csv")
    assert "9.09" not in failure(call(*clean))
    assert "10 rows where" in failure(call(*clean, "--max-rejected-share", 0.1))
    assert call(*clean, "--max-rejected-share", 0.1, "--max-shrink", 1).exit_code == 0
    assert call(*clean, "--allow-shrink").exit_code == 0
    load = ("load", tmp_path / "clean.csv", "--database", tmp_path / "flows.db")
    assert "10 rows where" in failure(call(*load))
    assert call(*load, "--allow-shrink").exit_code == 0
    assert len(list(iter_rows(tmp_path / "flows.db", FLOWS))) == 10


def test_the_rules_at_their_edges(tmp_path: Path) -> None:
    def accepted(rows: int, rejected: int, before: int | None, named: int = 0) -> bool:
        counted = Counted(tmp_path / "a", tmp_path / "b", rows, rejected, named, before, None)
        try:
            require_replaceable(counted, ReplacementRules())
        except InputError:
            return False
        return True

    assert accepted(99, 1, None)
    assert not accepted(98, 2, None)
    assert accepted(3, 1, None, named=1)
    assert accepted(50, 0, 100)
    assert not accepted(49, 0, 100)
    assert not accepted(0, 0, 0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["unmarked", "marked"])
@pytest.mark.parametrize(
    "header", [HEADER, b'"Time","Duration","Source","Port","To","Port","Protocol","Packets","Bytes"']
)
def test_a_header_and_a_byte_order_mark_are_named(tmp_path: Path, end: bytes, mark: bytes, header: bytes) -> None:
    rows = raw_lines(10).replace(b"\n", end)
    (tmp_path / "raw").write_bytes(mark + header + end + rows)
    done = call("clean", tmp_path / "raw", "--out", tmp_path / "clean.csv")
    assert done.exit_code == 0
    assert "11 lines read, 10 kept, 1 rejected" in done.output.replace("\n", " ")
    assert "begins with a header line" in done.output.replace("\n", " ")
    assert ("byte order mark" in done.output) == bool(mark)
    assert b'1,"header line: names of columns, not values"' in (tmp_path / "clean.rejected.csv").read_bytes()
    assert (tmp_path / "clean.csv").read_bytes().startswith(b"1,0,0,C1065")


def test_a_marked_file_keeps_its_first_row(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"\xef\xbb\xbf" + raw_lines(3))
    assert "3 lines read, 3 kept" in call("clean", tmp_path / "raw", "--out", tmp_path / "clean.csv").output
    assert (tmp_path / "clean.csv").read_bytes().startswith(b"1,0,0,C1065")


def test_a_second_header_and_mark_are_named_by_the_load(tmp_path: Path) -> None:
    """As in several files put together."""
    part = HEADER + b"\n" + raw_lines(300)
    (tmp_path / "raw").write_bytes(
        gzip.compress(part) + gzip.compress(part) + gzip.compress(b"\xef\xbb\xbf" + raw_lines(300))
    )
    assert call("clean", tmp_path / "raw", "--out", tmp_path / "clean.csv").exit_code == 0
    assert call("load", tmp_path / "clean.csv", "--database", tmp_path / "flows.db").exit_code == 0
    assert [(reject.position, reject.reason) for reject in iter_rejected(tmp_path / "flows.db")] == [
        (301, "header line: names of columns, not values"),
        (602, "time: '\\ufeff0' begins with a byte order mark"),
    ]


def test_the_assets_keep_what_is_there(tmp_path: Path) -> None:
    raw = tmp_path / "flows.txt"
    settings = Settings(home=tmp_path / "home", raw_file=raw)

    def made(**config: bool) -> bool:
        ops = {name: {"config": config} for name in ("clean_flows", "flows_database")}
        assets: list[dg.AssetSpec | dg.AssetsDefinition] = [
            dg.AssetSpec("raw_flows"),
            clean_flows(settings),
            flows_database(settings),
        ]
        return dg.materialize(assets, run_config={"ops": ops}, raise_on_error=False).success

    def rows() -> int:
        with sqlite3.connect(settings.files.database) as connection:
            (count,) = connection.execute("SELECT count(*) FROM flows").fetchone()
        connection.close()
        return int(count)

    raw.write_bytes(raw_lines(100))
    assert made()
    for wrong in (b"", raw_lines(40), HEADER * 50, raw_lines(100).decode().encode("utf-16")):
        raw.write_bytes(wrong)
        assert not made()
        assert rows() == 100
    raw.write_bytes(raw_lines(40))
    assert made(allow_shrink=True)
    assert rows() == 40
