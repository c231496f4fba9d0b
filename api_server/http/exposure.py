"""The check before an address is served: whether requests need a token."""

import logging
import socket
from ipaddress import ip_address

from api_server.config import ServerConfig
from api_server.http.tokens import read_tokens
from flows_platform.domain.errors import ConfigurationError

logger = logging.getLogger(__name__)


def check_exposure(config: ServerConfig, address: str) -> None:
    """Refuse to serve other machines by accident.

    Raises:
        ConfigurationError: other machines can reach the address and requests need no token, options contradict each
            other, or the token file cannot be used.
    """
    # guard: either tokens or none
    if config.tokens is not None and config.without_tokens:
        raise ConfigurationError("--tokens and --no-tokens contradict each other.", remedy="Give one of them.")
    if config.tokens is not None:
        read_tokens(config.tokens)
    if is_loopback(address):
        return
    # guard: strangers need a token
    if config.tokens is None and not config.without_tokens:
        raise ConfigurationError(
            f"{address} can be reached from other machines, and no token file is given.",
            remedy="Create one with `flows token create NAME`, and serve with --tokens FILE; or serve everyone with "
            "--no-tokens.",
        )
    if config.tokens is not None and config.certificate is None:
        logger.warning("tokens are sent unencrypted: give --certificate and --key, or put TLS in front of %s", address)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; False for a name that cannot be resolved."""
    try:
        address = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return False
    return ip_address(address.partition("%")[0]).is_loopback
