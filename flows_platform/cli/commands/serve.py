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
    """Serve until a signal ends it; an address that others reach takes the tokens of `flows token`, where it made some.

    Raises:
        ConfigurationError: the flags contradict each other, or what they name cannot be used.
        InputError: the database is missing or holds something else.
    """
    if config.tokens is None and not config.without_tokens and not is_loopback(host):
        config = replace(config, tokens=_default_tokens())
    run(config, [FlowsFeature(flows), CveFeature(_cves_url)], host, port)


def simulation_of(speed: float | None, start: str | None, late_share: float, late_minutes: int) -> Simulation | None:
    """What the flags say of a simulation; without a start it begins now.

    Raises:
        ConfigurationError: the start is no instant, or there is one without a speed.
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
            f"--simulated-start is {text!r}, no instant.", remedy="Write it as 2026-01-31T09:00:00Z."
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _default_tokens() -> Path | None:
    # Settings take 20 MB, which a server on this machine alone can spare.
    from flows_platform.cli.commands.token import default_token_file

    file = default_token_file()
    return file if file.exists() else None


def _cves_url() -> str:
    from flows_platform.settings import load_settings

    return load_settings().cves_url
