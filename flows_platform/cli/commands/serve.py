"""`flows serve`: the API server in this process."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from api_server.config import ServerConfig
from api_server.cves.feature import CveFeature
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.http.exposure import is_loopback
from api_server.http.feature import Feature
from api_server.http.rate import REQUESTS_A_MINUTE
from api_server.server import run
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.simulated_clock import PERMILLE, LateRows, SimulatedClock, Simulation
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.tpch_orders.layout import TPCH_ORDERS

if TYPE_CHECKING:
    from flows_platform.cli.commands.declarations import Declarations


@dataclass(frozen=True, slots=True)
class ServedData:
    """What a server is asked to serve.

    Args:
        database: The database of flows; None for that of FLOWS_HOME, if there is one.
        compare_pages: Whether its pages are compared with the load's checksums.
        simulation: The simulated clock of the flows.
        reports: Whether the project's reports are served.
        reports_a_minute: Requests for reports that one token may send; 0 for no limit.
    """

    database: Path | None
    compare_pages: bool = True
    simulation: Simulation | None = None
    reports: bool = True
    reports_a_minute: int = REQUESTS_A_MINUTE


def serve(config: ServerConfig, data: ServedData, host: str, port: int) -> None:
    """Serve until a signal. An address that others reach asks for the tokens of `flows token`, if there are any.

    Raises:
        ConfigurationError: the flags contradict each other, or name something that cannot be used.
        InputError: the database that is named is missing or is not one of ours.
    """
    if config.tokens is None and not config.without_tokens and not is_loopback(host):
        config = replace(config, tokens=_default_tokens())
    features, not_served = features_of(data)
    run(config, features, host, port, not_served=not_served)


def features_of(data: ServedData) -> tuple[list[Feature], list[str]]:
    """The features of a server, and what it does not serve, with the reason.

    Raises:
        InputError: the database that is named is missing or is not one of ours.
        ProcessFailed: the project's sources could not be read at all.
    """
    settings = load_settings()
    features: list[Feature] = []
    not_served: list[str] = []
    database = data.database or settings.files.database
    # guard: a database that is named is served
    if data.database or database.exists():
        flows = FlowsFeature(FlowsConfig(database, compare_pages=data.compare_pages, simulation=data.simulation))
        flows.check()  # before the sources are read, which takes seconds
        features.append(flows)
    else:
        not_served.append(f"flows: there is no database {database}; `flows load` builds one, and --database names it")
    features.append(CveFeature(lambda: settings.cves_url))
    if data.reports or settings.source_entries:
        # Imported here, as below: a server loads what it serves.
        from flows_platform.cli.commands.declarations import read_declarations

        found = read_declarations(settings, reports=data.reports)
        if data.reports:
            features += _reports(settings, found, data.reports_a_minute)
        else:
            not_served += found.faults
        if found.webhooks:
            features.append(_hooks(settings, found))
    return features, not_served


def _reports(settings: Settings, found: "Declarations", a_minute: int) -> list[Feature]:
    """The reports, and the orders of TPC-H where the project has their source."""
    from api_server.orders.feature import OrdersFeature
    from flows_platform.cli.commands.served_reports import reports_feature

    orders = [OrdersFeature(settings.files.tpch_orders)] if TPCH_ORDERS in found.tables else []
    return [reports_feature(settings, found, a_minute), *orders]


def _hooks(settings: Settings, found: "Declarations") -> Feature:
    from flows_platform.cli.commands.serve_hooks import hooks_feature

    return hooks_feature(settings, found.webhooks, found.details)


def simulation_of(speed: float | None, start: str | None, late_share: float, late_minutes: int) -> Simulation | None:
    """The simulation that the flags describe; None if they describe none. Without a start it starts now.

    Raises:
        ConfigurationError: the start is not an instant, or other flags lack a speed.
    """
    if speed is None:
        if start or late_share or late_minutes:
            raise ConfigurationError("without --simulate nothing starts or is late.", remedy="Add --simulate SPEED.")
        return None
    late = LateRows(round(late_share * PERMILLE), timedelta(minutes=late_minutes))
    return Simulation(SimulatedClock(_instant(start) if start else datetime.now(UTC), speed), late)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--simulated-start is {text!r}, which is not an instant.", remedy="Write it as 2026-01-31T09:00:00Z."
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _default_tokens() -> Path | None:
    from flows_platform.cli.commands.token import default_token_file

    file = default_token_file()
    return file if file.exists() else None
