"""What runs reports in the warehouse of these settings."""

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.reports.engine import ReportEngine
from flows_platform.settings import Settings
from flows_platform.warehouse.clients import project_client
from flows_platform.warehouse.warehouse import emulator_client


def report_engine(settings: Settings) -> ReportEngine:
    """The engine, with a client of its own.

    Raises:
        ConfigurationError: the credentials cannot be used.
        WarehouseUnavailable: the local emulator was never started.
    """
    location = settings.bigquery_location
    if settings.bigquery_project:
        key = settings.bigquery_credentials
        client = project_client(settings.bigquery_project, location, key.get_secret_value() if key else None)
    elif settings.emulator_key.exists():
        client = emulator_client(settings.emulator_url, settings.warehouse_project, location, settings.emulator_key)
    else:
        raise WarehouseUnavailable(
            f"the local emulator was never started: there is no key {settings.emulator_key}.",
            remedy="Start it with `flows dev`, or set FLOWS_BIGQUERY_PROJECT.",
        )
    return ReportEngine(client, settings.bigquery_dataset, location)
