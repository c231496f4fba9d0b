"""One window by the product's own pipeline, API to warehouse, without Dagster: `one_window.py KEY`."""

import sys
from contextlib import closing
from datetime import timedelta

from flows_platform.domain.windows import WindowGrid
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE
from flows_platform.warehouse.warehouse import Warehouse, emulator_client


def main(key: str) -> None:
    """Fetch the window and replace it in the table."""
    settings = load_settings()
    api = WindowedApi(settings.stream_url, FLOWS, format=WireFormat(settings.api_format), parser=settings.api_parser)
    project, location = settings.warehouse_project, settings.bigquery_location
    with (
        closing(HttpClient()) as client,
        closing(emulator_client(settings.emulator_url, project, location, settings.emulator_key)) as bigquery,
    ):
        pipeline = WindowPipeline(
            api=api,
            client=client,
            folder=settings.files.windows,
            table=FLOWS_TABLE,
            warehouse=Warehouse(bigquery, settings.bigquery_dataset, location, settings.files.locks),
        )
        pipeline.warehouse.ensure_table(pipeline.table)
        window = WindowGrid(settings.epoch, timedelta(hours=3)).from_key(key)
        pipeline.fetch(window)
        pipeline.publish(window, run="benchmark")


if __name__ == "__main__":
    main(*sys.argv[1:])
