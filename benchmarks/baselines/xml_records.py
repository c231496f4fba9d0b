"""The usual way with XML that is long: cut a record out, parse it by itself. xml_records.py URL OUT."""

import sys
from collections.abc import Iterator
from itertools import batched
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from lxml import etree

SIZE = 10_000
READ = 1 << 16
END = b"</record>"
NUMBERS = {"id", "time", "duration", "protocol", "packet_count", "byte_count"}
url, out = sys.argv[1:]


def records() -> Iterator[dict[str, object]]:
    """Every record as a dict."""
    pending = b""
    with urlopen(url) as answer:
        while data := answer.read(READ):
            *records, pending = (pending + data).split(END)
            for record in records:
                element = etree.fromstring(record[record.index(b"<record>") :] + END)
                yield {child.tag: int(child.text or "") if child.tag in NUMBERS else child.text for child in element}


writer = None
for some in batched(records(), SIZE, strict=False):
    batch = pa.RecordBatch.from_pylist(some)
    writer = writer or pq.ParquetWriter(out, batch.schema)
    writer.write_batch(batch)
if writer:
    writer.close()
