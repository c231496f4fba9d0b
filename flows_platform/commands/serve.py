"""`flows serve`: the API server in this process."""

from dataclasses import replace
from pathlib import Path

from api_server.config import ServerConfig
from api_server.exposure import is_loopback
from api_server.server import run


def serve(config: ServerConfig, host: str, port: int) -> None:
    """Serve until a signal ends it; an address that others reach takes the tokens of `flows token`, where it made some.

    Raises:
        ConfigurationError: the flags contradict each other, or what they name cannot be used.
        InputError: the database is missing or holds something else.
    """
    if config.tokens is None and not config.without_tokens and not is_loopback(host):
        config = replace(config, tokens=_default_tokens())
    run(replace(config, cves_url=_cves_url), host, port)


def _default_tokens() -> Path | None:
    # Settings take 20 MB, which a server on this machine alone can spare.
    from flows_platform.commands.token import default_token_file  # noqa: PLC0415

    file = default_token_file()
    return file if file.exists() else None


def _cves_url() -> str:
    from flows_platform.settings import load_settings  # noqa: PLC0415  as above: asked when CVEs are

    return load_settings().cves_url
