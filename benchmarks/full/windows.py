"""The windows of the full run: which are left to do, in which Dagster runs, and the cost of every window."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import dagster as dg
from google.cloud import bigquery

from benchmarks.full.state import WindowCost
from flows_platform.settings import EMULATOR_PROJECT, Settings
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.warehouse.warehouse import emulator_client


def pending(settings: Settings, instance: dg.DagsterInstance, asset: dg.AssetKey) -> Iterator[Sequence[str]]:
    """The windows that the asset does not have yet, as runs of neighbours, as many to a run as in a backfill."""
    done = instance.get_materialized_partitions(asset)
    keys: list[str] = []
    for key in flows_windows(settings).partitions.get_partition_keys():
        if key not in done:
            keys.append(key)
        if keys and (key in done or len(keys) == settings.windows_per_run):
            yield keys
            keys = []
    if keys:
        yield keys


def cost(settings: Settings, instance: dg.DagsterInstance, key: str) -> WindowCost:
    """What Dagster recorded of a window's last fetch and publication, and the emulator of its jobs."""
    declaration = flows_windows(settings)
    fetched = _recorded(instance, declaration.files_key, key)
    published = _recorded(instance, declaration.table_key, key)
    jobs = [str(published[name]) for name in ("load_job", "merge_job") if name in published]  # empty ones load nothing
    warehouse = (settings.emulator_url, EMULATOR_PROJECT, settings.bigquery_location, settings.emulator_key)
    with closing(emulator_client(*warehouse)) as client:
        seconds = sum(_job_seconds(client, job) for job in jobs)
    rows = int(str(published["rows"]))
    return WindowCost(rows, float(str(fetched["seconds"])), float(str(published["seconds"])), seconds)


def _recorded(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str) -> dict[str, object]:
    chosen = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key])
    (record,) = instance.fetch_materializations(chosen, limit=1).records
    made = record.asset_materialization
    return {name: value.value for name, value in made.metadata.items()} if made else {}


def _job_seconds(client: bigquery.Client, job_id: str) -> float:
    job = client.get_job(job_id)
    return (job.ended - job.started).total_seconds() if job.started and job.ended else 0.0
