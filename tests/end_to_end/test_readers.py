"""One window in five formats gives the same rows, to our own client and to the tools that people use."""

import csv
import io
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

import apsw
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from lxml import etree

from flows_platform.cli.commands.services import api_child
from flows_platform.domain.schema import ColumnType
from flows_platform.domain.verification import Value
from flows_platform.flow_database.load import load
from flows_platform.flow_database.read import iter_rows
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.cleaning import clean
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.schema import FLOWS

pytestmark = pytest.mark.slow

type Row = tuple[Value, ...]

FIRST, LAST = 21600, 32399
INTEGERS = {column.name for column in FLOWS.columns if column.type is ColumnType.INT64}
DTYPES = {name: "int64" if name in INTEGERS else "str" for name in FLOWS.names}
# Rows that readers stumble over: quotes, commas, markup, line ends in a value, emoji, 64-bit extremes.
ODD: list[Row] = [
    (-1, 22001, 0, "a<b", "N1", "C1", "445", 6, 1, 46),  # sorted far from the others: alone in its piece of a chunk
    (900001, 22000, 0, 'C"1"', "a,b", "<C&2>", "it's", 6, 9223372036854775807, -9223372036854775808),
    (900002, 22001, 0, "line\nfeed", "\ttab ", "é😀", "\\N", 6, 1, 46),
    (900003, 22002, 0, "two\r\nlines", "]]>", "%s", "NULL", 6, 1, 46),
]


def build(folder: Path) -> Path:
    generate(folder / "raw.txt", rows=3000, days=1)
    clean(folder / "raw.txt", folder / "clean.csv", folder / "rejects.csv")
    settings = load_settings(home=folder)
    load(folder / "clean.csv", settings.files.database, FLOWS)
    with apsw.Connection(str(settings.files.database)) as database:
        database.executemany(f"INSERT INTO flows VALUES ({','.join('?' * len(FLOWS.columns))})", ODD)
    return settings.files.database


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], list[Row]]:
    """A file per format as the server sends it, and the rows that each must hold."""
    folder = tmp_path_factory.mktemp("readers")
    database = build(folder)
    settings = load_settings(home=folder, api_port=free_port())
    files = {}
    with Supervisor() as supervisor:
        supervisor.start(api_child(settings))
        for name in ("json", "xml", "ndjson", "csv", "arrow"):
            url = f"{settings.stream_url}?scanned_after={FIRST - 1}&scanned_before={LAST}&format={name}"
            files[name] = folder / f"window.{name}"
            with urllib.request.urlopen(url) as answer, files[name].open("wb") as file:
                shutil.copyfileobj(answer, file)
    expected = sorted(row for row in iter_rows(database, FLOWS) if FIRST <= row[1] <= LAST)  # type: ignore[operator]
    assert len(expected) > 100
    return files, expected


type Window = tuple[dict[str, Path], list[Row]]


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*arguments: str | Path) -> str:
    done = subprocess.run([str(word) for word in arguments], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def tuples(records: Iterable[Mapping[str, Value]]) -> list[Row]:
    assert all(list(record) == list(FLOWS.names) for record in records)
    return [tuple(record.values()) for record in records]


def test_the_standard_library_and_arrow(window: Window) -> None:
    files, expected = window
    document = json.loads(files["json"].read_text())
    assert list(document) == ["records", "end"]
    assert document["end"] == {"count": len(expected)}
    assert tuples(document["records"]) == expected
    assert tuples([json.loads(line) for line in files["ndjson"].read_text().splitlines()]) == expected
    with files["csv"].open(newline="") as file:
        read = list(csv.DictReader(file, strict=True))
    assert [tuple(int(v) if k in INTEGERS else v for k, v in row.items()) for row in read] == expected
    with pa.ipc.open_stream(files["arrow"]) as stream:
        assert tuples(stream.read_all().to_pylist()) == expected
    root = etree.parse(files["xml"]).getroot()
    texts = [[(element.tag, element.text or "") for element in record] for record in root.iterfind("record")]
    assert tuples([{k: int(v) if k in INTEGERS else v for k, v in text} for text in texts]) == expected
    (end,) = (node for node in root if isinstance(node, etree._ProcessingInstruction))
    assert end.get("count") == str(len(expected))


def test_xmllint(window: Window) -> None:
    files, expected = window
    assert run(tool("xmllint"), "--noout", files["xml"]) == ""
    assert run(tool("xmllint"), "--xpath", "count(/records/record)", files["xml"]).strip() == str(len(expected))
    assert run(tool("xmllint"), "--xpath", "string(//record[id=900001]/src_comp)", files["xml"]).strip() == 'C"1"'


def test_jq(window: Window) -> None:
    files, expected = window
    # jq 1.6 reads numbers as doubles: compare the columns that fit, the texts exactly.
    lines = run(tool("jq"), "-c", "[.src_comp, .src_port, .dst_comp, .dst_port, .id]", files["ndjson"]).splitlines()
    assert [tuple(json.loads(line)) for line in lines] == [(*row[3:7], row[0]) for row in expected]
    assert run(tool("jq"), ".end.count == (.records | length)", files["json"]).strip() == "true"


def test_the_sqlite3_shell(window: Window, tmp_path: Path) -> None:
    files, expected = window
    database = tmp_path / "read.db"
    run(tool("sqlite3"), database, f".import --csv {files['csv']} flows")
    with apsw.Connection(str(database)) as connection:
        columns = ", ".join(f"CAST({name} AS INTEGER)" if name in INTEGERS else name for name in FLOWS.names)
        assert sorted(connection.execute(f"SELECT {columns} FROM flows")) == expected


def test_pandas(window: Window) -> None:
    files, expected = window
    by_csv = pd.read_csv(files["csv"], dtype=DTYPES, keep_default_na=False, lineterminator=None)
    assert list(by_csv.itertuples(index=False, name=None)) == expected
    by_lines = pd.read_json(files["ndjson"], lines=True, dtype=DTYPES)
    assert list(by_lines.itertuples(index=False, name=None)) == expected
    by_json = pd.DataFrame(json.loads(files["json"].read_text())["records"])
    assert list(by_json.itertuples(index=False, name=None)) == expected
    by_xml = pd.read_xml(io.BytesIO(files["xml"].read_bytes()), xpath="//record", dtype=DTYPES)
    assert by_xml.id.tolist() == [row[0] for row in expected]
    assert by_xml.byte_count.tolist() == [row[9] for row in expected]


def test_duckdb(window: Window) -> None:
    files, expected = window
    kinds = ", ".join(f"'{name}': '{'BIGINT' if name in INTEGERS else 'VARCHAR'}'" for name in FLOWS.names)
    with duckdb.connect() as connection:
        by_csv = f"read_csv('{files['csv']}', columns={{{kinds}}}, header=true, nullstr='\\0none')"
        assert connection.execute(f"FROM {by_csv} ORDER BY id").fetchall() == expected
        by_lines = f"read_json('{files['ndjson']}', format='newline_delimited', columns={{{kinds}}})"
        assert connection.execute(f"FROM {by_lines} ORDER BY id").fetchall() == expected
        with pa.ipc.open_stream(files["arrow"]) as stream:
            arrived = stream.read_all()
        assert connection.from_arrow(arrived).order("id").fetchall() == expected
