"""The usual streaming client: ijson.items to dicts, dicts to Parquet. ijson_dicts.py URL OUT."""

import sys
from itertools import batched
from urllib.request import urlopen

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

SIZE = 10_000
url, out = sys.argv[1:]
writer = None
with urlopen(url) as answer:
    for records in batched(ijson.items(answer, "records.item"), SIZE, strict=False):
        batch = pa.RecordBatch.from_pylist(records)
        writer = writer or pq.ParquetWriter(out, batch.schema)
        writer.write_batch(batch)
if writer:
    writer.close()
