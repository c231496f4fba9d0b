"""The usual way with Arrow: pyarrow's reader into its writer. arrow_stream.py URL OUT."""

import sys
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq

url, out = sys.argv[1:]
with urlopen(url) as answer, pa.ipc.open_stream(answer) as reader, pq.ParquetWriter(out, reader.schema) as writer:
    for batch in reader:
        writer.write_batch(batch)
