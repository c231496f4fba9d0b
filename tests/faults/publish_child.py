"""A process that publishes one window file, once.

Run as `python -m tests.faults.publish_child URL KEY_FILE DATASET LOCKS WINDOW FILE ROWS`. WINDOW is a number.
Ends with 0, or with 3 and the error where that is one of the platform's own.
"""

import sys
from pathlib import Path

from flows_platform.domain.errors import PlatformError
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.flow_rows import window

TYPED = 3


def main() -> None:
    url, key, dataset, locks, number, parquet, rows = sys.argv[1:]
    with emulator_client(url, "local", "US", Path(key)) as client:
        warehouse = Warehouse(client, dataset, "US", Path(locks), timeout=60.0, attempts=1)
        publication = Publication(FLOWS_TABLE, window(int(number)), CheckedFile(Path(parquet), "sha", int(rows)), "Run")
        try:
            warehouse.replace_window(publication)
        except PlatformError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.exit(TYPED)


if __name__ == "__main__":
    main()
