"""Dagster's definitions for this process: of all sources, or in a run's own process of the sources of that run.

A process starts for every run, and a run uses one source as a rule: it does not wait for the others.
"""

from collections.abc import Set as AbstractSet

import dagster as dg

from flows_platform.components.source_files import SourceFiles, mentioning, source_files
from flows_platform.orchestration.run_worker import ProcessRun
from flows_platform.orchestration.table import table_of_job
from flows_platform.settings import Settings
from flows_platform.sources.loading import asset_keys, build_definitions

FEW = 20  # files of sources that are built in less time than it takes to read which assets a run selects


def definitions_of_process(settings: Settings) -> dg.Definitions:
    """What Dagster sees of a project in this process."""
    run, files = ProcessRun.of_this_process(), source_files(settings)
    of_run = _definitions_of(run, settings, files) if run else None
    return of_run or build_definitions(settings, files)


def _definitions_of(run: ProcessRun, settings: Settings, files: SourceFiles) -> dg.Definitions | None:
    if not run.is_implicit:
        return definitions_with(run.job, frozenset(), settings, files)
    if len(files.files) <= FEW or not (keys := run.selection()):
        return None
    return definitions_with(None, keys, settings, files)


def definitions_with(
    job: str | None, keys: AbstractSet[dg.AssetKey], settings: Settings, files: SourceFiles
) -> dg.Definitions | None:
    """The definitions of the sources that have a job and assets; None where they are not found by their names.

    A source is found by the text of its file. So what is built may not be all that is meant: it is compared.
    """
    table = table_of_job(job) if job else None
    found = mentioning(files, [*(key.to_user_string() for key in keys), *filter(None, [table])])
    if not found.files:
        return None
    definitions = build_definitions(settings, found, with_reports=False)
    jobs = {definition.name for definition in definitions.jobs or ()}
    # guard: a run has all that it uses
    complete = keys <= asset_keys(definitions) and job in {None, *jobs}
    return definitions if complete else None
