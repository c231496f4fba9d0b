"""Starts runs that rebuild this source's files when there is a new raw file."""

import dagster as dg

from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.settings import Settings

FILES_JOB = "flows_database_job"


def files_job() -> AssetJob:
    """From the raw file to the database."""
    return dg.define_asset_job(
        FILES_JOB,
        selection=dg.AssetSelection.assets("raw_flows", "clean_flows", "flows_database", "rejected_flows"),
        description="Raw file, clean file, database, rejected lines.",
    )


def raw_file_sensor(settings: Settings, job: AssetJob) -> dg.SensorDefinition:
    """A sensor that rebuilds the database when the raw file at the configured path changes."""

    @dg.sensor(
        name="new_raw_file",
        job=job,
        minimum_interval_seconds=30,
        description="Watches FLOWS_RAW_FILE; a new or changed file is loaded once it is the same in two checks.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if settings.raw_file is None:
            return dg.SkipReason("FLOWS_RAW_FILE is not set: the sample is generated when raw_flows is materialised.")
        if not settings.raw_file.is_file():
            return dg.SkipReason(f"{settings.raw_file} does not exist yet.")
        state = settings.raw_file.stat()
        seen = f"{state.st_size}-{state.st_mtime_ns}"
        if context.cursor != seen:
            return dg.SensorResult(
                skip_reason=f"{settings.raw_file} changed; waiting until it is complete.", cursor=seen
            )
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=seen)], cursor=seen)

    return look
