"""dlt pulling the same API by its rest_api source into Parquet: dlt_rest.py BASE PATH QUERY OUT."""

import sys
from urllib.parse import parse_qsl

import dlt
from dlt.sources.rest_api import rest_api_source

base, path, query, out = sys.argv[1:]
source = rest_api_source(
    {
        "client": {"base_url": base},
        "resources": [
            {
                "name": "flows",
                "endpoint": {
                    "path": path.lstrip("/"),
                    "params": dict(parse_qsl(query)),
                    "data_selector": "records",
                    "paginator": "single_page",
                },
            }
        ],
    }
)
pipeline = dlt.pipeline(
    "flows",
    pipelines_dir=f"{out}/pipelines",
    destination=dlt.destinations.filesystem(bucket_url=f"{out}/files"),
    dataset_name="data",
)
pipeline.run(source, loader_file_format="parquet")
