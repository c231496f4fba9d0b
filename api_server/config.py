"""What the server is told. Plain values: nothing here reads the environment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flows_platform.domain.simulated_clock import Replay


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The settings of one server."""

    database: Path
    # Names that it answers to, as `name` or `name:port`, beside loopback's and the address that a request arrived at.
    hosts: tuple[str, ...] = ()
    # Compare each page that is read with the checksum that the load wrote. Costs some 2 % of a stream.
    compare_pages: bool = True
    # Bearer tokens that are asked for; none are where this is None.
    tokens: Path | None = None
    # Serve everyone, even at an address that other machines reach.
    without_tokens: bool = False
    # PEM files for TLS; the key may stand in the certificate's file.
    certificate: Path | None = None
    key: Path | None = None
    # Threads that run sqlite. Streams share them a chunk at a time, so a slow reader holds none.
    worker_threads: int = 4
    # Connections that format one stream's chunks side by side. Two are 1.5 times one on two cores.
    connections_per_stream: int = 2
    # Streams that run at once; one holds about 3 MB. A further one is told to come again.
    active_streams: int = 24
    # How long a reader may take for one chunk (at most some 500 KB); then the connection is cut.
    write_seconds: float = 60
    # How long a connection may take to bring a whole request head, counted from its start or the last answer's end.
    head_seconds: float = 10
    # How long streams may go on after the signal to stop.
    shutdown_seconds: int = 10
    # Hold back what has not happened yet by this clock; None shows all rows at once.
    replay: Replay | None = None
    # Gives the URL of the database of CVEs, asked with the first request for one; None where there is none. A function,
    # since the URL may hold a password, and what finds it takes memory that a server of flows alone can spare.
    cves_url: Callable[[], str] | None = field(default=None, repr=False)
