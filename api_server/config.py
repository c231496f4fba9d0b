"""What the server is told. Plain values: nothing here reads the environment."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The settings of one server."""

    database: Path
    # Threads that run sqlite. Streams share them a chunk at a time, so a slow reader holds none.
    worker_threads: int = 4
    # Connections that format one stream's chunks side by side. Two are 1.5 times one on two cores.
    connections_per_stream: int = 2
    # How long streams may go on after the signal to stop.
    shutdown_seconds: int = 10
