"""One Dagster run over windows, as a backfill makes it: `windows_run.py FIRST LAST [ASSET…]`, all assets without."""

import sys

import dagster as dg

from flows_platform.cli.commands.instance import open_instance, report_success, run_job
from flows_platform.definitions import build_definitions
from flows_platform.orchestration.partitions import range_tags
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows

INTERRUPTED = 130


def main(first: str, last: str, *assets: str) -> int:
    """0 if every window is done."""
    settings = load_settings()
    declaration = flows_windows(settings)
    grid, chosen = declaration.grid, assets or declaration.window_keys
    job = dg.define_asset_job("benchmark", selection=dg.AssetSelection.assets(*chosen))
    definitions = dg.Definitions.merge(build_definitions(settings), dg.Definitions(jobs=[job]))
    with open_instance(settings) as instance:
        windows = list(grid.between(grid.from_key(first), grid.from_key(last)))
        run = run_job(
            definitions,
            instance,
            job.name,
            title=f"Windows {first} to {last}",
            materializations=len(windows) * len(chosen),
            tags=range_tags(first, last),
        )
    return 0 if report_success(run) else 1


if __name__ == "__main__":
    try:
        code = main(*sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
