"""A job run in this process."""

import dagster as dg

from flows_platform.cli.commands.instance import report_success, run_job


def run_here(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """Its failed steps' words are printed: `assert result.success` alone would not say why it is not so."""
    result = run_job(definitions, instance, job, title=job, materializations=1, tags=tags)
    report_success(result)
    return result
