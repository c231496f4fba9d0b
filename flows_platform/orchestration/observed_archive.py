"""The archive of a webhook as an asset that Dagster observes: what it holds, and pictures of its last day."""

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import dagster as dg

from flows_platform.domain.errors import PlatformError
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.changes import ask
from flows_platform.fetch.http.client import HttpClient
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.code_references import code_at
from flows_platform.orchestration.metadata.charts import file_charts, number_chart, profile_plan, stacked_chart
from flows_platform.orchestration.metadata.figures import Metadata
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOURLY = "45 * * * *"
ANY_NUMBER = 10**9  # of rejects: whether records fit is not what is asked here
FIGURES = ("records", "bytes", "differing", "pending", "dead", "open")


def observed_archive(table: WindowedTable, now: Callable[[], datetime] = utc_now) -> dg.Definitions:
    """The archive as an asset, with a schedule that observes it; `now` is the wall clock."""
    name = archive_name(table.name)
    asset = dg.AssetSpec(
        name,
        group_name=table.group,
        description="The records that a vendor's webhook brought, as they came, with their details; `bytes` are those "
        "of the records alone. The API server that receives the webhook also serves them. The job "
        f"{name}_observation_job observes it.",
        metadata=code_at(table.declared_in),
    )

    @dg.op(name=f"{name}_observed")
    def observe(context: dg.OpExecutionContext, fetch: FetchResource) -> None:
        context.log_event(dg.AssetObservation(asset.key, metadata=observed(table, fetch, now())))

    @dg.job(
        name=f"{name}_observation_job", description="Observes the archive: what it holds, and pictures of its last day."
    )
    def observation() -> None:
        observe()

    schedule = dg.ScheduleDefinition(name=f"{name}_observation_schedule", job=observation, cron_schedule=HOURLY)
    return dg.Definitions(assets=[asset], jobs=[observation], schedules=[schedule])


def archive_name(table: str) -> str:
    """The name of the asset of the archive that a table is filled from."""
    return f"{table}_archive"


def observed(table: WindowedTable, fetch: FetchResource, wall: datetime) -> Metadata:
    """What the server says of the archive, and pictures of the records of the last day."""
    api = table.api()
    with fetch.client(api, table.gate) as client:
        found = ask(client, api, urljoin(api.url, api.newest.path if api.newest else ""), tries=fetch.tries)
        numbers = {name: int(found[name]) for name in FIGURES}
        waited = found.get("oldest_pending_seconds")
        return {
            **{name: dg.MetadataValue.int(number) for name, number in numbers.items()},
            "newest": dg.MetadataValue.text(str(found.get("newest") or "none")),
            **({} if waited is None else {"oldest_pending_seconds": dg.MetadataValue.float(float(waited))}),
            **number_chart("details", {name: numbers[name] for name in ("pending", "dead")}),
            **_pictures(table, api, client, wall, fetch.tries),
        }


def _pictures(table: WindowedTable, api: WindowedApi, client: HttpClient, wall: datetime, tries: int) -> Metadata:
    # Imported here: pyarrow takes a tenth of a second, too long for loading the definitions.
    from flows_platform.pipeline.fetch_window import fetch_window  # noqa: PLC0415
    from flows_platform.window_files.profile import counts_by_hour  # noqa: PLC0415

    end = wall.replace(minute=0, second=0, microsecond=0) + HOUR
    day = Window(end - DAY, end)
    # guard: a failing picture fails no observation
    try:
        with tempfile.TemporaryDirectory(prefix="flows-archive-") as folder:
            fetched = fetch_window(
                client,
                api,
                day,
                Path(folder) / "day.parquet",
                max_rejected=ANY_NUMBER,
                tries=tries,
                profile=profile_plan(table.charts, day),
            )
            stacked: Metadata = {}
            if table.charts:
                chart = table.charts[0]
                counts = counts_by_hour(fetched.file.location, str(api.schema.time), chart.by)
                stacked = stacked_chart(chart, counts, day)
    except PlatformError as error:
        return {"pictures": dg.MetadataValue.text(f"none: {error}")}
    profile = fetched.file.profile
    drawn = file_charts(table.table, table.charts[1:], profile) if profile else {}
    if stacked:
        drawn = {name: drawing for name, drawing in drawn.items() if name != "rows_by_time"}  # the same hours
    return stacked | drawn
