"""dlt fed the Arrow stream of the same API: dlt_arrow.py URL OUT."""

import sys
from collections.abc import Iterator
from urllib.request import urlopen

import dlt
import pyarrow as pa

url, out = sys.argv[1:]


@dlt.resource(name="flows")
def flows() -> Iterator[pa.RecordBatch]:
    """The stream's batches as they come."""
    with urlopen(url) as answer, pa.ipc.open_stream(answer) as reader:
        yield from reader


pipeline = dlt.pipeline(
    "flows",
    pipelines_dir=f"{out}/pipelines",
    destination=dlt.destinations.filesystem(bucket_url=f"{out}/files"),
    dataset_name="data",
)
pipeline.run(flows(), loader_file_format="parquet")
