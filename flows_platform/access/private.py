"""Folders that are closed to other users of this machine, and Unix sockets in them."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError

PRIVATE = 0o077  # the umask of processes whose files are closed to other users
SOCKET_BYTES = 107  # the longest path of a Unix socket on Linux


def make_home(path: Path) -> None:
    """Create the folder with mode 0700, unless it exists; then it keeps its mode.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def private_folder(path: Path) -> Path:
    """The folder, created if it does not exist, owned by this user and closed to others.

    Raises:
        ConfigurationError: it belongs to another user, or is not a folder.
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    # guard: another user's folder is not private
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path} is not a folder of this user.", remedy="Set FLOWS_HOME to a folder with a shorter path."
        )
    # guard: a folder of ours becomes private
    if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        path.chmod(stat.S_IRWXU)
    return path


def socket_path(home: Path, name: str) -> Path:
    """The path of the socket `name` of this home: below the home, or elsewhere where that path would be too long."""
    mark = f"flows-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    elsewhere = (os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), "/tmp")  # noqa: S108 - checked when made
    paths = (home / "run" / name, *(Path(folder) / mark / name for folder in elsewhere))
    return next(path for path in paths if len(os.fsencode(path)) <= SOCKET_BYTES)
