"""The run that Dagster started this process for, where it did so for one run alone."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import current_process
from typing import NamedTuple, Self

import dagster as dg

ORIGIN, JOB, RUN_ID = "pipeline_origin", "pipeline_name", "pipeline_run_id"  # in what Dagster serializes
IMPLICIT = "__"  # starts the names of the jobs that Dagster makes of the assets selected in the UI or by a backfill


class ProcessRun(NamedTuple):
    """The run of this process, by its id, and the name of its job."""

    run_id: str
    job: str

    @classmethod
    def of_this_process(cls) -> Self | None:
        """The run; None in a process that serves several.

        A code server starts a process of multiprocessing for a run, and other launchers `dagster api execute_run`. Both
        pass arguments in JSON, which multiprocessing keeps under a private name.
        """
        arguments = (*getattr(current_process(), "_args", ()), *sys.argv[1:])
        return next(filter(None, map(cls._named_by, arguments)), None)

    @classmethod
    def _named_by(cls, argument: object) -> Self | None:
        if not isinstance(argument, str) or RUN_ID not in argument:
            return None
        with suppress(ValueError):
            found = json.loads(argument)
            origin = found.get(ORIGIN) if isinstance(found, dict) else None
            names = (found.get(RUN_ID), origin.get(JOB)) if isinstance(origin, Mapping) else ()
            if len(names) == len(cls._fields) and all(isinstance(name, str) for name in names):
                return cls(*names)
        return None

    @property
    def is_implicit(self) -> bool:
        """Whether the job is one that Dagster makes of the selected assets."""
        return self.job.startswith(IMPLICIT)

    def selection(self) -> frozenset[dg.AssetKey]:
        """The selected assets, and those whose checks are selected; empty where the run cannot be read.

        DAGSTER_HOME names the instance that has the run. Opening it takes .2 CPU-seconds.
        """
        with suppress(dg.DagsterError), dg.DagsterInstance.get() as instance:
            if run := instance.get_run_by_id(self.run_id):
                checked = (check.asset_key for check in run.asset_check_selection or ())
                return frozenset([*(run.asset_selection or ()), *checked])
        return frozenset()
