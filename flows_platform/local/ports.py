"""TCP ports and Unix sockets: whether one is free, a free one, whether something answers there."""

import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError

# Below the ports that Linux gives to programs that ask for any: 32768 and above by default. Such a program could be
# given a port between its choice here and its use.
CHOSEN = range(20_000, 32_768)
TRIES = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Where a child will listen; `setting` names the setting that changes it."""

    host: str
    port: int
    setting: str

    def check_free(self, name: str) -> None:
        """Raises a ConfigurationError where another process listens there."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not listen
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise ConfigurationError(
                    f"{name} cannot listen on {self.host}:{self.port} ({error.strerror}).",
                    remedy=f"Stop what uses the port, or set {self.setting} to another.",
                ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now; take it soon.

    Raises:
        ConfigurationError: a hundred are taken, or the host is not this machine.
    """
    for _ in range(TRIES):
        port = secrets.choice(CHOSEN)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise ConfigurationError(
        f"no free port was found on {host} among {TRIES} between {CHOSEN.start} and {CHOSEN.stop - 1}.",
        remedy="Stop programs that use them, or check that the address is one of this machine.",
    )


def listens(at: int | Path, host: str = "127.0.0.1") -> bool:
    """Whether something takes connections at a port, or at the path of a Unix socket."""
    family = socket.AF_UNIX if isinstance(at, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(at) if isinstance(at, Path) else (host, at))
        except OSError:
            return False
    return True
