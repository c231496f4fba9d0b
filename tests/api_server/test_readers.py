"""Tools that people have at hand read the streams as they come; a tool that is not installed is skipped."""

import shutil
import subprocess
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from flows_platform.sources.lanl_flows.schema import FLOWS

from .conftest import Row, Serve, build, flow, flows

STREAM = "/api/v1/stream/flows"
TEXTS = ["", "NA", 'say "so", or', "two\r\nlines", "two\nlines", "é😀", " spaced ", "'"]


@pytest.fixture
def rows() -> list[Row]:
    nasty = [flow(4001 + place, src_comp=text) for place, text in enumerate(TEXTS)]
    return [*flows(4000), *nasty, flow(4000 + len(TEXTS) + 1, byte_count=2**63 - 1)]


@pytest.fixture
def fetched(serve: Serve, tmp_path: Path, rows: list[Row]) -> dict[str, Path]:
    """The whole table in each text format, as files."""
    server = serve(build(tmp_path / "flows.db", rows))
    files = {name: tmp_path / f"flows.{name}" for name in ("json", "xml", "ndjson", "csv")}
    for name, file in files.items():
        file.write_bytes(server.get(f"{STREAM}?format={name}")[1])
    return files


def tool(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_pandas_reads_csv_and_json_lines(fetched: dict[str, Path], rows: list[Row]) -> None:
    types = {column.name: column.type for column in FLOWS.columns}
    frame = pd.read_csv(fetched["csv"], dtype=types, keep_default_na=False)
    assert list(frame.itertuples(index=False, name=None)) == rows
    lines = pd.read_json(fetched["ndjson"], lines=True, dtype={"dst_port": "string"})
    assert len(lines) == len(rows)


# DuckDB takes an empty field, quoted or not, for NULL unless it is told what NULL looks like.
@pytest.mark.parametrize("reading", ["read_csv($1, nullstr = 'NULL')", "read_json($1, format = 'newline_delimited')"])
def test_duckdb_reads_csv_and_json_lines(fetched: dict[str, Path], rows: list[Row], reading: str) -> None:
    file = fetched["csv" if "csv" in reading else "ndjson"]
    with duckdb.connect() as connection:
        query = f"SELECT count(*), sum(byte_count), count(DISTINCT src_comp) FROM {reading}"
        found = connection.execute(query, [str(file)]).fetchone()
    assert found == (len(rows), sum(int(row[-1] or 0) for row in rows), len({row[3] for row in rows}))


def test_sqlite_imports_csv(fetched: dict[str, Path], rows: list[Row]) -> None:
    script = (
        f".import --csv {fetched['csv']} flows",
        "SELECT count(*), sum(byte_count = '9223372036854775807') FROM flows",
    )
    assert tool("sqlite3", ":memory:", *script).strip() == f"{len(rows)}|1"


def test_jq_reads_the_document(fetched: dict[str, Path], rows: list[Row]) -> None:
    assert tool("jq", "(.records | length) == .end.count and .end.count", str(fetched["json"])).strip() == "true"
    assert tool("jq", ".records[-1].id", str(fetched["json"])).strip() == str(rows[-1][0])


def test_xmllint_reads_the_document(fetched: dict[str, Path], rows: list[Row]) -> None:
    counted = tool("xmllint", "--xpath", "count(/records/record)", str(fetched["xml"]))
    assert counted.strip() == str(len(rows))
