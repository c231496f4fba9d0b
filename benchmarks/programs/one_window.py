"""One window by the product's own pipeline, API to warehouse, without Dagster: `one_window.py KEY`."""

import sys


def main(key: str) -> None:
    """Fetch the window and replace it in the table."""
    # Imported here: a process that decodes beside this one imports this file too, and needs none of them.
    from contextlib import closing  # noqa: PLC0415
    from datetime import timedelta  # noqa: PLC0415

    from flows_platform.domain.windows import WindowGrid  # noqa: PLC0415
    from flows_platform.fetch.http import HttpClient  # noqa: PLC0415
    from flows_platform.fetch.windowed_api import WindowedApi  # noqa: PLC0415
    from flows_platform.pipeline import WindowPipeline  # noqa: PLC0415
    from flows_platform.settings import load_settings  # noqa: PLC0415
    from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE  # noqa: PLC0415
    from flows_platform.stores.bigquery import Warehouse, emulator_client  # noqa: PLC0415
    from flows_platform.wire.formats import WireFormat  # noqa: PLC0415

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
