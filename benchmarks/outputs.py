"""A contender's output as a digest: equal for equal rows in any format and order."""

import csv
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq

from flows_platform.columns.batches import arrow_schema, batch_digest
from flows_platform.domain.schema import ColumnType
from flows_platform.domain.verification import RowDigest, Value
from flows_platform.sources.lanl_flows.schema import FLOWS

type Row = tuple[Value, ...]
TARGET = arrow_schema(FLOWS)
INTEGERS = [column.type is ColumnType.INT64 for column in FLOWS.columns]
READ_ROWS = 1 << 16


def file_digest(path: Path) -> str:
    """A file's bytes."""
    with path.open("rb") as file:
        digest = sha256()
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def body_digest(path: Path, wire: str) -> str:
    """The rows of a body in `wire`: ndjson, json, xml or csv."""
    return str(RowDigest.of(_READERS[wire](path)))


def parquet_digest(*paths: Path) -> str:
    """The rows of Parquet files; other columns than ours are ignored."""
    digest = RowDigest()
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(READ_ROWS, columns=FLOWS.names):
                columns = [batch.column(field.name).cast(field.type) for field in TARGET]
                digest += batch_digest(pa.RecordBatch.from_arrays(columns, schema=TARGET))
    return str(digest)


def _ndjson(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line in file:
            record = json.loads(line)
            yield tuple(record[name] for name in FLOWS.names)


def _json(path: Path) -> Iterator[Row]:
    for record in json.loads(path.read_bytes())["records"]:
        yield tuple(record[name] for name in FLOWS.names)


def _xml(path: Path) -> Iterator[Row]:
    for _, element in ET.iterparse(path):  # noqa: S314 - a server of ours wrote it
        if element.tag == "record":
            yield _typed([element.findtext(name, "") for name in FLOWS.names])
            element.clear()


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for record in csv.DictReader(file):
            yield _typed([record[name] for name in FLOWS.names])


def _typed(texts: list[str]) -> Row:
    return tuple(int(text) if number else text for text, number in zip(texts, INTEGERS, strict=True))


_READERS = {"ndjson": _ndjson, "json": _json, "xml": _xml, "csv": _csv}
