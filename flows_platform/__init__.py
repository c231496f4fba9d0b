"""A time-windowed HTTP API into BigQuery, exactly.

Imports run one way: domain → wire, stores, fetch → resources, partitions, checks → sources → definitions.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import Definitions

# Nothing here multiplies matrices: the threads that numpy starts for that spin for .06 CPU-seconds in each process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def definitions_for(*sources: str | Path) -> "Definitions":
    """Dagster's definitions of the sources in folders and files, for a Dagster project that exists already.

    They bring the resources `fetch` and `warehouse`, the sensor `notifications` and an executor that runs in the run's
    own process. Merge them with `dg.Definitions.merge`. A source that cannot be loaded is an asset that says why.

    Args:
        sources: Folders, which are searched recursively, files, or shipped names such as `nvd_cves`.

    Raises:
        ConfigurationError: the value of a setting is not allowed.
    """
    from flows_platform.settings import load_settings  # noqa: PLC0415 - the package itself imports nothing
    from flows_platform.sources.loading import build_definitions  # noqa: PLC0415 - as above

    return build_definitions(load_settings(sources=tuple(map(str, sources))))
