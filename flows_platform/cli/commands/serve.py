"""`flows serve`: the API server in this process."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    run(config, features, host, port, not_served)


def features_of(data: ServedData) -> tuple[list[Feature], list[str]]:
    """The features of a server, and what it does not serve, with the reason.

    Raises:
        InputError: the database that is named is missing or is not one of ours.
    """
    features: list[Feature] = []
    not_served: list[str] = []
    database = data.database or _default_database()
    # guard: a database that is named is served
    if data.database or database.exists():
        flows = FlowsFeature(FlowsConfig(database, compare_pages=data.compare_pages, simulation=data.simulation))
        flows.check()  # before the reports are read, which takes seconds
        features.append(flows)
    else:
        not_served.append(f"flows: there is no database {database}; `flows load` builds one, and --database names it")
    features.append(CveFeature(_cves_url))
    if data.reports:
        features += _reports(data.reports_a_minute)
    if hooks := _hooks():
        features.append(hooks)
    return features, not_served


def _reports(a_minute: int) -> list[Feature]:
    """The reports, and the orders of TPC-H that two of them are about."""
    # They take 60 MB more than a server of flows alone needs.
    from api_server.orders.feature import OrdersFeature
    from flows_platform.cli.commands.served_reports import reports_feature
    from flows_platform.settings import load_settings

    settings = load_settings()
    return [reports_feature(settings, a_minute), OrdersFeature(settings.files.tpch_orders)]


def _hooks() -> Feature | None:
    # Imported here: settings take 20 MB, which a server of flows alone does not need before.
    from flows_platform.cli.commands.serve_hooks import hooks_feature
    from flows_platform.settings import load_settings

    return hooks_feature(load_settings())


def _default_database() -> Path:
    from flows_platform.settings import load_settings

    return load_settings().files.database


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
    # Settings take 20 MB, which a server on loopback does not need.
    from flows_platform.cli.commands.token import default_token_file

    file = default_token_file()
    return file if file.exists() else None


def _cves_url() -> str:
    from flows_platform.settings import load_settings

    return load_settings().cves_url
