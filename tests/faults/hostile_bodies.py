"""Bodies made to crash, fill or mislead the one who reads them: name to content type, coding and how to make it."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import zstandard

from tests.fetch.flow_bodies import json_body, row, xml_body

JSON, XML, NDJSON, CSV = "application/json", "application/xml", "application/x-ndjson", "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
MB = 1 << 20


@dataclass(frozen=True)
class Hostile:
    kind: str
    body: Callable[[], bytes]
    coding: str = "identity"


def in_json(record: bytes) -> bytes:
    """A document with one good record before `record`."""
    return b'{"records":[%s,%s],"end":{"count":2}}' % (json.dumps(row(1)).encode(), record)


def with_value(value: bytes) -> bytes:
    return in_json(json.dumps(row(2)).encode().replace(b'"C1"', value))


def in_xml(inside: bytes) -> bytes:
    return b"<records><record>%s</record><?end count='1'?></records>" % inside


def arrow(batch: pa.RecordBatch, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def rows_batch() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row(number) for number in range(1, 40)])


def claiming(claim: int) -> bytes:
    """An Arrow stream whose batch says that its body has `claim` bytes."""
    data = arrow(rows_batch())
    schema = len(rows_batch().schema.serialize().to_pybytes())
    length = struct.unpack_from("<i", data, schema + 4)[0]
    body = len(data) - 8 - schema - 8 - length
    head, header, rest = data[: schema + 8], data[schema + 8 : schema + 8 + length], data[schema + 8 + length :]
    assert header.count(struct.pack("<q", body)) >= 1
    return head + header.replace(struct.pack("<q", body), struct.pack("<q", claim), 1) + rest


ENTITIES = (
    b"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a0 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]><records><record><id>&a11;</id></record></records>"
)

HOSTILE: dict[str, Hostile] = {
    "json: integer of 4,301 digits": Hostile(JSON, lambda: with_value(b"7" * 4301)),
    "json: integer of a million digits": Hostile(JSON, lambda: with_value(b"-" + b"7" * MB)),
    "json: fraction of a million digits": Hostile(JSON, lambda: with_value(b"0." + b"7" * MB)),
    "json: vast exponent": Hostile(JSON, lambda: with_value(b"1e999999999")),
    "json: 100,000 arrays deep": Hostile(JSON, lambda: with_value(b"[" * 100_000 + b"]" * 100_000)),
    "json: 100,000 objects deep": Hostile(JSON, lambda: with_value(b'{"a":' * 100_000)),
    "json: deep before the records": Hostile(JSON, lambda: b'{"a":' + b"[" * 100_000),
    "json: brackets hidden among texts": Hostile(JSON, lambda: with_value(b'{"]":"]]","a":' * 50_000)),
    "json: text of 64 MB": Hostile(JSON, lambda: with_value(b'"' + b"x" * (64 * MB) + b'"')),
    "json: key of 64 MB": Hostile(JSON, lambda: in_json(b'{"' + b"x" * (64 * MB) + b'":1}')),
    "json: two million empty objects in a record": Hostile(JSON, lambda: with_value(b"[" + b"{}," * (2 * MB) + b"{}]")),
    "json: half a million decimals in a record": Hostile(JSON, lambda: with_value(b"[" + b"1e1," * (MB // 2) + b"1]")),
    "json: half a million decimals around the records": Hostile(
        JSON, lambda: b'{"around":[' + b"1e1," * (MB // 2) + b'1],"records":[]}'
    ),
    "json: a megabyte of decimals around the records": Hostile(
        JSON, lambda: b'{"around":[' + b"1e1," * (MB // 4) + b'1],"records":[{}]}'
    ),
    "json: a million empty records": Hostile(JSON, lambda: b'{"records":[' + b"{}," * MB + b"{}]}"),
    "json: white space of 32 MB": Hostile(JSON, lambda: b'{"records":[' + b" " * (32 * MB) + b"]}"),
    "json: half a surrogate pair": Hostile(JSON, lambda: with_value(b'"\\ud800"')),
    "json: NUL": Hostile(JSON, lambda: with_value(b'"\x00"')),
    "json: not UTF-8": Hostile(JSON, lambda: with_value(b'"\xff\xfe"')),
    "json: overlong UTF-8": Hostile(JSON, lambda: with_value(b'"\xc0\x80"')),
    "json: UTF-16": Hostile(JSON, lambda: json_body([row(1)]).decode().encode("utf-16")),
    "json: NaN": Hostile(JSON, lambda: with_value(b"NaN")),
    "json: repeated key": Hostile(JSON, lambda: in_json(b'{"id":1,' + json.dumps(row(2)).encode()[1:])),
    "json: error object": Hostile(JSON, lambda: b'{"error":{"code":500}}'),
    "json: null records": Hostile(JSON, lambda: b'{"records":null,"end":{"count":0}}'),
    "json: HTML": Hostile(JSON, lambda: b"<!doctype html><html><body>login</body></html>"),
    "json: gzip bomb": Hostile(JSON, lambda: gzip.compress(b'{"records":[' + b" " * (200 * MB), 1), "gzip"),
    "json: zstd bomb": Hostile(JSON, lambda: zstandard.compress(b'{"records":[' + b" " * (200 * MB)), "zstd"),
    "json: zstd window of 2 GB": Hostile(JSON, lambda: b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x00" * 40, "zstd"),
    "xml: entity bomb": Hostile(XML, lambda: ENTITIES),
    "xml: external entity": Hostile(
        XML, lambda: b"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + in_xml(b"<id>&x;</id>")
    ),
    "xml: external DTD": Hostile(
        XML, lambda: b"<!DOCTYPE r SYSTEM 'http://127.0.0.1:9/x.dtd'>" + in_xml(b"<id>1</id>")
    ),
    "xml: undeclared entity": Hostile(XML, lambda: in_xml(b"<id>&x;</id>")),
    "xml: 400,000 attributes": Hostile(
        XML, lambda: in_xml(b"<id " + b" ".join(b"a%d=''" % n for n in range(400_000)) + b"/>")
    ),
    "xml: 2 million distinct tags": Hostile(
        XML, lambda: b"<records>" + b"".join(b"<record><t%x/></record>" % n for n in range(2_000_000))
    ),
    "xml: 2 million distinct tags in a record": Hostile(
        XML, lambda: in_xml(b"".join(b"<t%x/>" % n for n in range(2_000_000)))
    ),
    "xml: distinct namespaces": Hostile(
        XML, lambda: b"<records>" + b"".join(b"<record xmlns:a='u%x'/>" % n for n in range(500_000))
    ),
    "xml: distinct instructions": Hostile(XML, lambda: b"<records>" + b"".join(b"<?p%x?>" % n for n in range(MB))),
    "xml: 100,000 levels": Hostile(XML, lambda: in_xml(b"<a>" * 100_000)),
    "xml: text of 32 MB": Hostile(XML, lambda: in_xml(b"<id>" + b"x" * (32 * MB) + b"</id>")),
    "xml: comment of 32 MB": Hostile(XML, lambda: in_xml(b"<!--" + b"x" * (32 * MB) + b"-->")),
    "xml: instruction of 32 MB": Hostile(XML, lambda: in_xml(b"<?p " + b"x" * (32 * MB) + b"?>")),
    "xml: entity bomb after an external DTD": Hostile(
        XML, lambda: ENTITIES.replace(b"DOCTYPE r", b"DOCTYPE r SYSTEM 'x'")
    ),
    "xml: a million elements around the records": Hostile(
        XML, lambda: b"<records>" + b"<record/><x/>" * (MB // 2) + b"</records>"
    ),
    "xml: one child repeated": Hostile(XML, lambda: in_xml(b"<id>1</id>" * 99_000)),
    "xml: NUL": Hostile(XML, lambda: in_xml(b"<id>\x00</id>")),
    "xml: UTF-16 with a DTD": Hostile(XML, lambda: ENTITIES.decode().encode("utf-16")),
    "xml: two roots": Hostile(XML, lambda: xml_body([row(1)]) + b"<records/>"),
    "ndjson: a line of 32 MB": Hostile(NDJSON, lambda: b'{"id":"' + b"x" * (32 * MB)),
    "ndjson: 100,000 levels": Hostile(NDJSON, lambda: b'{"id":' + b"[" * 100_000 + b"\n"),
    "ndjson: integer of a million digits": Hostile(NDJSON, lambda: b'{"id":' + b"7" * MB + b"}\n"),
    "ndjson: not UTF-8": Hostile(NDJSON, lambda: json.dumps(row(1)).encode().replace(b"C1", b"\xff") + b"\n"),
    "csv: a line of 32 MB": Hostile(CSV, lambda: b"id,name\r\n" + b"," * (32 * MB)),
    "csv: a field of 32 MB": Hostile(CSV, lambda: b'id,name\r\n1,"' + b"x\n" * (16 * MB)),
    "csv: a header of 32 MB": Hostile(CSV, lambda: b"x" * (32 * MB)),
    "arrow: a body of terabytes": Hostile(ARROW, lambda: claiming(1 << 42)),
    "arrow: a negative body": Hostile(ARROW, lambda: claiming(-1)),
    "arrow: a body of 30 MB that is not there": Hostile(ARROW, lambda: claiming(30 * MB)),
    "arrow: a header of 2 GB": Hostile(ARROW, lambda: b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64),
    "arrow: a dictionary": Hostile(
        ARROW, lambda: arrow(pa.RecordBatch.from_pydict({"id": pa.DictionaryArray.from_arrays([0] * MB, ["x" * MB])}))
    ),
    "arrow: compressed zeros": Hostile(
        ARROW,
        lambda: arrow(pa.RecordBatch.from_pydict({"id": pa.array([0] * (4 * MB), pa.int64())}), compression="zstd"),
    ),
    "arrow: nulls without bytes": Hostile(ARROW, lambda: arrow(pa.RecordBatch.from_pydict({"id": pa.nulls(1 << 20)}))),
    "arrow: lists": Hostile(ARROW, lambda: arrow(pa.RecordBatch.from_pydict({"id": [[1], [2]]}))),
    "arrow: noise": Hostile(ARROW, lambda: b"\xff\xff\xff\xff\x40\x00\x00\x00" + b"\x7f" * 4096),
}
