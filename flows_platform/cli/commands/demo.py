"""`flows demo`: the whole path on a sample, from the raw file to the warehouse, proven window by window."""

import os
import shutil

import dagster as dg

from flows_platform.access.private import PRIVATE
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.instance import open_instance, report_success, run_job
from flows_platform.cli.commands.services import api_child, emulator_child
from flows_platform.cli.commands.shown_report import show_report
from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.cli.commands.window_results import print_results, window_results
from flows_platform.domain.verification import RowDigest, Value
from flows_platform.flow_database.read import database_summary, iter_rows
from flows_platform.local.emulator import wipe
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.orchestration.partitions import range_tags
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.sources.loading import build_definitions

DAYS = 2
SHOWN_REPORT = "busiest_computers"
DIGEST_STEP = 20_000  # rows between two updates of the progress


def demo_settings(rows: int) -> Settings:
    """Settings with a home, days and ports of their own, so that a demo can run beside anything else."""
    return load_settings(
        home=load_settings().home / "demo",
        sources=("lanl_flows",),
        raw_file=None,
        sample_rows=rows,
        days=DAYS,
        api_url="",
        api_host="127.0.0.1",
        api_port=free_port(),
        bigquery_project="",
        emulator_port=free_port(),
        emulator_key_file=None,
    )


def run_demo(rows: int) -> bool:
    """Run the demo and print the table of windows; True only if every window is verified and all rows are equal."""
    os.umask(PRIVATE)  # child processes inherit it
    settings = demo_settings(rows)
    if settings.home.exists():
        wipe(settings.files.emulator)
        shutil.rmtree(settings.home)
    with Supervisor() as supervisor, open_instance(settings) as instance:
        console.print("Starting the BigQuery emulator.")
        emulator = supervisor.launch(emulator_child(settings))
        if not _prepare_database(settings, instance):
            return False
        console.print("Starting the API server.")
        supervisor.await_ready(*emulator, *supervisor.launch(api_child(settings)))
        verified = _load_windows(settings, instance)
        equal = _compare(settings)
        show_report(SHOWN_REPORT, settings)
        return equal and verified


def _prepare_database(settings: Settings, instance: dg.DagsterInstance) -> bool:
    definitions = build_definitions(settings)
    done = run_job(definitions, instance, "flows_database_job", title="Raw file to database", materializations=4)
    return report_success(done)


def _load_windows(settings: Settings, instance: dg.DagsterInstance) -> bool:
    """Backfill all windows in one run; True if all were verified."""
    table = flows_windows(settings)
    keys = table.partitions.get_partition_keys()
    run = run_job(
        build_definitions(settings),
        instance,
        "flows_windows_job",
        title=f"{len(keys)} windows to BigQuery",
        materializations=(2 + len(table.sinks)) * len(keys),  # the window file, the table and its sinks
        tags=range_tags(keys[0], keys[-1]),
    )
    results = window_results(instance, run.run_id, keys)
    print_results(results)
    return report_success(run) and all(result.verified for result in results)


def _compare(settings: Settings) -> bool:
    """Whether the table has the database's rows, by a digest that does not depend on order."""
    declared = flows_windows(settings)
    with build_resources(settings).warehouse.warehouse() as opened:
        table = opened.digest(declared.table)
    database = _database_digest(settings)
    equal = table == database
    say(f"Rows and digest of the database: {database}")
    say(f"Rows and digest of the table:    {table}")
    say("Every row is in BigQuery exactly once." if equal else "THE TABLE DIFFERS FROM THE DATABASE.")
    return equal


def _database_digest(settings: Settings) -> RowDigest:
    total = database_summary(settings.files.database, FLOWS).rows
    digest, batch = RowDigest(), list[tuple[Value, ...]]()
    with progress_bar("Comparing with the database", "rows") as progress:
        for row in iter_rows(settings.files.database, FLOWS):
            batch.append(row)
            if len(batch) == DIGEST_STEP:
                digest += RowDigest.of(batch)
                batch.clear()
                progress(digest.count, total)
    return digest + RowDigest.of(batch)
