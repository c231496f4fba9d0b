"""One window by the product's own pipeline, API to warehouse, without a Dagster run: `one_window.py KEY`."""

import sys


def main(key: str) -> None:
    """Fetch the window and replace it in the table."""
    # Imported here: a process that decodes beside this one imports this file too, and needs none of them.
    from flows_platform.resources import build_resources  # noqa: PLC0415
    from flows_platform.settings import load_settings  # noqa: PLC0415
    from flows_platform.sources.lanl_flows.windows import flows_windows  # noqa: PLC0415

    settings = load_settings()
    declaration = flows_windows(settings)
    window = declaration.grid.from_key(key)
    with declaration.pipeline(*build_resources(settings)) as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        pipeline.fetch(window)
        pipeline.publish(window, run="benchmark")


if __name__ == "__main__":
    main(*sys.argv[1:])
