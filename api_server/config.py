"""The settings of a server, whatever its features: plain values, nothing here reads the environment."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The settings of one server; a feature has its own beside them."""

    # Names that it answers to, as `name` or `name:port`, beside loopback's and the address that a request arrived at.
    hosts: tuple[str, ...] = ()
    # File of the bearer tokens, one of which a request needs; None where requests need none.
    tokens: Path | None = None
    # Serve everyone, even at an address that other machines reach.
    without_tokens: bool = False
    # PEM files for TLS; the key may be in the certificate's file.
    certificate: Path | None = None
    key: Path | None = None
    # Further ports at the same address: some senders of webhooks post to 443 alone.
    also_ports: tuple[int, ...] = ()
    # Streams that run at once; one holds about 3 MB. A further one is answered with a 503.
    active_streams: int = 24
    # How long a reader may take for one chunk (at most some 500 KB); then the connection is cut.
    write_seconds: float = 60
    # How long a connection may take to send a complete request head, from its start or the end of the last answer.
    head_seconds: float = 10
    # How long streams may go on after the signal to stop.
    shutdown_seconds: int = 10
