"""`flows serve`: the API server in this process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api_server.config import ServerConfig
from api_server.cves.feature import CveFeature
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.http.exposure import is_loopback
from api_server.server import run
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.simulated_clock import PERMILLE, LateRows, SimulatedClock, Simulation


def serve(config: ServerConfig, flows: FlowsConfig, host: str, port: int) -> None:
    """Serve until a signal. An address that others reach asks for the tokens of `flows token`, if there are any.

    Raises:
        ConfigurationError: the flags contradict each other, or name something that cannot be used.
        InputError: the database is missing or is not one of ours.
    """
    if config.tokens is None and not config.without_tokens and not is_loopback(host):
        config = replace(config, tokens=_default_tokens())
    run(config, [FlowsFeature(flows), CveFeature(_cves_url)], host, port)


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
