"""One window by the product's own pipeline, API to warehouse, without a Dagster run: `one_window.py KEY`."""

import sys

from flows_platform.resources import build_resources
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows


def main(key: str) -> None:
    """Fetch the window and replace it in the table."""
    settings = load_settings()
    declaration = flows_windows(settings)
    window = declaration.grid.from_key(key)
    with declaration.pipeline(*build_resources(settings)) as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        pipeline.fetch(window)
        pipeline.publish(window, run="benchmark")


if __name__ == "__main__":
    main(*sys.argv[1:])
