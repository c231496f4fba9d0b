"""`flows report demo`: orders of TPC-H in the embedded warehouse, window by window, and reports over them."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from flows_platform.access.private import PRIVATE
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.services import api_child, emulator_child
from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.components.catalog import table_at
from flows_platform.components.source_files import SHIPPED
from flows_platform.domain.errors import ProcessFailed
from flows_platform.domain.windows import Window
from flows_platform.local.ports import Address, free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.tpch_orders.generate import generate
from flows_platform.sources.tpch_orders.layout import TPCH_ORDERS

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowPipeline

HOST = "127.0.0.1"
SCALE = 0.01
RUN = "report-demo"
# Answers that show what there is, after the base URL.
SHOWN = {
    "Pages": "/reports",
    "List": "/api/v1/reports",
    "Top ten": "/connector/customers/top10?start_range=1995-01-01&end_range=1995-03-31",
    "Clerk's year": "/connector/clerk/000000001/yearly_sales/1995",
}


def demo_settings(port: int) -> Settings:
    """Settings with a home of their own, which the next demo uses again, and the embedded warehouse."""
    return load_settings(
        home=load_settings().home / "report_demo",
        sources=(TPCH_ORDERS,),
        tpch_scale=SCALE,
        api_host=HOST,
        api_port=port,
        bigquery_project="",
        emulator_port=free_port(),
        emulator_key_file=None,
    )


def run_report_demo(port: int) -> None:
    """Load what is not loaded yet, serve until Ctrl-C, and stop all processes.

    Raises:
        ConfigurationError: the port or the demo's folder is in use, or a package of the emulator is not installed.
        ProcessFailed: a process did not start or crashed too often, or the table does not hold all orders.
    """
    os.umask(PRIVATE)  # child processes inherit it
    settings = demo_settings(port)
    emulator = emulator_child(settings)
    server = replace(api_child(settings), addresses=(Address(HOST, port, "--port"),))
    server.check_ports()  # before anything is generated
    with Supervisor() as supervisor, suppress(KeyboardInterrupt):
        try:
            console.print("Starting the BigQuery emulator.")
            launched = supervisor.launch(emulator)
            with progress_bar("Generating orders", "orders") as progress:
                generated = generate(settings.files.tpch_orders, SCALE, progress)
            supervisor.await_ready(*launched)
            table = table_at(SHIPPED[TPCH_ORDERS], settings)
            with table.pipeline(*build_resources(settings)) as pipeline:
                pipeline.warehouse.ensure_table(table.table)
                supervisor.start(server)
                load(table, pipeline)
                require_all(pipeline, generated.orders)
            _say_addresses(settings)
            supervisor.keep(say)
        finally:
            console.print("Stopping everything.")


def load(table: WindowedTable, pipeline: "WindowPipeline") -> int:
    """Fetch and publish the windows that the table does not hold yet; returns their number."""
    windows = [table.grid.from_key(key) for key in table.partitions.get_partition_keys()]
    held = pipeline.held(table.grid, windows)
    missing = [window for window in windows if not _is_loaded(pipeline, window, held)]
    if missing:
        console.print(f"Loading {len(missing)} windows of a month each.")
    with progress_bar("Orders by month", "windows") as progress:
        for done, window in enumerate(missing, 1):
            pipeline.fetch(window)
            pipeline.publish(window, RUN, held=held[window])
            progress(done, len(missing))
    return len(missing)


def _is_loaded(pipeline: "WindowPipeline", window: Window, held: Mapping[Window, int]) -> bool:
    """Whether the table holds as many rows as the window's file."""
    recorded = pipeline.ledger.window_files(window.key).get(window.key)
    return recorded is not None and recorded.last_rows == held[window]


def require_all(pipeline: "WindowPipeline", orders: int) -> None:
    """Refuse to serve less than was generated.

    Raises:
        ProcessFailed: the table holds another number of orders.
    """
    found = pipeline.warehouse.count(pipeline.table)
    # guard: the demo shows all orders
    if found != orders:
        raise ProcessFailed(
            f"the table {pipeline.table.name} holds {found:,} orders, and {orders:,} were generated.",
            remedy="Delete the folder report_demo in FLOWS_HOME, and start again.",
        )


def _say_addresses(settings: Settings) -> None:
    say(f"Base URL      {settings.api_base}")
    for name, path in SHOWN.items():
        say(f"{name:<13} {settings.api_base}{path}")
    say("Ctrl-C stops everything.")
    sys.stdout.flush()  # whoever reads a pipe learns the address now
