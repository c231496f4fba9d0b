"""Run as `python -m tests.faults.fuzz_child COUNT SEED BLOCK TARGET…`: mutated documents through native parsers.

Each is written to the file BLOCK before the parser sees it, through a mapping that outlives the process: so it is known
what killed it. Errors of ours are outcomes; any other ends the process with a traceback. Prints each target's.
"""

import gzip
import io
import json
import mmap
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import zstandard

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.errors import PlatformError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.fetch.http.decompression import decompressor
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.json import decode as json_documents
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.formats.templates.blocks import ArrowLines
from flows_platform.formats.xml import decode as xml_documents

LONGEST = 1 << 16
TABLE = TableSchema(
    "t",
    "",
    (
        Column("a", ColumnType.INT64, "", nullable=True),
        Column("b", ColumnType.STRING, "", nullable=True),
        Column("c", ColumnType.BOOL, "", nullable=True),
        Column("t", ColumnType.TIMESTAMP, "", nullable=True),
    ),
    "a",
    "t",
)
ROWS = [{"a": n, "b": f"é{n}\u00a0😀\n", "c": n % 2 == 0, "t": "2024-03-01T00:00:00Z"} for n in range(6)]
TOKENS = [
    *(
        b"null",
        b"true",
        b"{",
        b"}",
        b"[",
        b"]",
        b"{}",
        b"[]",
        b"},{",
        b"}\n{",
        b"\nnull\n",
        b'"',
        b"\\",
        b",",
        b":",
        b"\n",
    ),
    *(
        b"\\ud800",
        b"\\udc00",
        b"\\u0000",
        b"\x00",
        b"\x0b",
        b"\x0c",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        b"9" * 400,
        b"-",
        b"1e999999999",
        b"1E-400",
        b"0x1f",
        b"NaN",
        b"-Infinity",
        b"[" * 300,
        b'{"a":' * 150,
        b"/*",
        b"*/",
    ),
    *(
        b"<",
        b">",
        b"</",
        b"/>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?x?>",
        b"<!DOCTYPE r>",
        b"<!DOCTYPE r [<!ENTITY e 'x'>]>",
    ),
    *(
        b"&",
        b"&#0;",
        b"&#11;",
        b"&#xD800;",
        b"&#x110000;",
        b"&e;",
        b"&amp;",
        b" xmlns='u'",
        b" xmlns:p=''",
        b" a='1'",
        b"<p:a>",
    ),
    *(b"<a>" * 300, b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00", b"\x00" * 8),
]


def in_json(rows: list[dict[str, object]]) -> bytes:
    return json.dumps({"records": rows, "end": {"count": len(rows)}}, ensure_ascii=False).encode()


def in_lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def in_xml(rows: list[dict[str, object]], attribute: str = "") -> bytes:
    texts = ("".join(f"<{name}{attribute}>{value}</{name}>" for name, value in row.items()) for row in rows)
    return f"<records>{''.join(f'<record>{text}</record>' for text in texts)}</records>".encode()


def in_csv(rows: list[dict[str, object]]) -> bytes:
    lines = [",".join(f'"{value}"' for value in row.values()) for row in rows]
    return "\r\n".join([",".join(rows[0]), *lines, ""]).encode()


def in_arrow(rows: list[dict[str, object]]) -> bytes:
    times = pa.array([0, 1, None, 3, 4, -1], pa.timestamp("us", "UTC"))
    columns = {name: [row[name] for row in rows] for name in "abc"} | {"t": times}
    columns |= {"d": pa.array([None, "1.5", "2.5", "3", "4", "5"]).cast(pa.decimal128(9, 2)), "f": [0.5] * 6}
    batch = pa.RecordBatch.from_pydict(columns).replace_schema_metadata({"pandas": "{}", "k": "v"})
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch, custom_metadata={"count": "6"})
        writer.write_batch(batch.slice(2))
    return bytes(sink.getvalue().to_pybytes())


class Pieces:
    """A body in pieces of at most so many bytes."""

    def __init__(self, body: bytes, most: int) -> None:
        self._file, self._most = io.BytesIO(body), most

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(self._most if size < 0 else min(self._most, size))


def read(wire: WireFormat, **layout: object) -> Callable[[bytes, random.Random], None]:
    """Reads a document as a window's would be, in pieces of any size."""

    def one(body: bytes, chance: random.Random) -> None:
        source = Pieces(body, chance.choice([7, 64, 512, LONGEST]))
        document = open_document(wire, source, Layout(**{"schema": TABLE, **layout}))  # type: ignore[arg-type]
        for part in document.slices():
            cast_slice(TABLE, part, 1)

    return one


def read_lines(body: bytes, _: random.Random) -> None:
    """Arrow's reader of JSON alone: what it is given past the decoders' own look."""
    ArrowLines(TABLE.columns).read(body)


def inflate(coding: str) -> Callable[[bytes, random.Random], None]:
    def one(body: bytes, chance: random.Random) -> None:
        stream, size = decompressor(coding), chance.choice([1, 7, LONGEST])
        for start in range(0, len(body), size):
            stream.give(body[start : start + size])
            while stream.take(LONGEST):
                pass
        stream.finish()

    return one


BLOCKS = in_json(ROWS * 4)
TARGETS: dict[str, tuple[bytes, Callable[[bytes, random.Random], None]]] = {
    "json": (in_json(ROWS), read(WireFormat.JSON)),
    "json nested": (in_json([{**ROWS[0], "b": {"x": [1, ROWS[1]]}}]), read(WireFormat.JSON, whole=True)),
    "json by ijson": (BLOCKS, read(WireFormat.JSON, parser=Parser.REFERENCE)),
    "ndjson": (in_lines(ROWS), read(WireFormat.NDJSON)),
    "ndjson whole": (in_lines(ROWS), read(WireFormat.NDJSON, whole=True)),
    "arrow lines": (in_lines(ROWS), read_lines),
    "xml": (in_xml(ROWS), read(WireFormat.XML)),
    "xml nested": (in_xml(ROWS, " k='v'"), read(WireFormat.XML, whole=True, enveloped=True, doctype=True)),
    "csv": (in_csv(ROWS), read(WireFormat.CSV)),
    "arrow": (in_arrow(ROWS), read(WireFormat.ARROW)),
    "gzip": (gzip.compress(BLOCKS, mtime=0), inflate("gzip")),
    "zstd": (zstandard.ZstdCompressor(write_checksum=True).compress(BLOCKS), inflate("zstd")),
}


def mutated(good: bytes, chance: random.Random) -> bytes:
    """One to four changes: bits, bytes, pieces left out, doubled, moved, or replaced; numbers; tokens; a cut."""
    data = bytearray(good)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        change(data, chance)
    return bytes(data[:LONGEST])


def change(data: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(data) + 1)
    end = min(len(data), place + chance.choice([0, 1, 2, 8, 40]))
    match chance.randrange(7):
        case 0 if end > place:
            data[place] ^= 1 << chance.randrange(8)
        case 1:
            del data[place:end]
        case 2:
            data[place:place] = data[place:end]
        case 3:
            other = chance.randrange(len(data) + 1)
            data[other:other] = data[place:end]
        case 4:
            del data[place:]
        case 5:
            data[place:end] = struct.pack("<q", chance.choice([0, -1, 1 << 62, chance.getrandbits(40)]))[: end - place]
        case _:
            data[place:end] = chance.choice(TOKENS)


def main(target: str, count: int, seed: int, block: Path) -> None:
    for module in (json_documents, xml_documents):
        setattr(module, "SLICE_BYTES", 1)  # noqa: B010  a name that they import: so that blocks are cut early
    good, parse = TARGETS[target]
    block.write_bytes(bytes(LONGEST + 8))
    outcomes: Counter[str] = Counter()
    with block.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shown:
        for number in range(seed, seed + count):
            chance = random.Random(number)
            body = mutated(good, chance)
            shown[: 8 + len(body)] = struct.pack("<q", len(body)) + body
            try:
                parse(body, chance)
                outcomes["read"] += 1
            except PlatformError as error:
                outcomes[type(error).__name__] += 1
    sys.stdout.write(json.dumps(outcomes) + "\n")


if __name__ == "__main__":
    for target in sys.argv[4:]:
        main(target, int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
