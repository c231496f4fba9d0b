"""The keys that sign short tokens, in a private file beside that of the tokens, which the first exchange creates.

The newest key signs. The previous one still verifies, so that a rotation does not invalidate tokens early.
"""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from stat import S_IRWXG, S_IRWXO

from api_server.http.tokens import PRIVATE
from flows_platform.domain.errors import ConfigurationError
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.followed_files import FollowedFile
from flows_platform.runtime.locks import exclusive

KEY_BYTES = 32
KEY = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # KEY_BYTES as URL-safe base64
KEPT = 2


def keys_beside(tokens: Path) -> Path:
    """The file of the keys that belongs to this file of tokens."""
    return tokens.with_name(f"{tokens.stem}.keys")


def rotate_keys(file: Path) -> None:
    """Create a new key for signing. Of the old keys, only the newest still verifies.

    Raises:
        ConfigurationError: the file does not hold keys, or others may read it.
        StorageError: it cannot be written.
    """
    with exclusive(_lock(file)):
        _write(file, [secrets.token_urlsafe(KEY_BYTES), *read_keys(file)[: KEPT - 1]])


def read_keys(file: Path) -> Sequence[str]:
    """The keys, the newest first; none if the file does not exist.

    Raises:
        ConfigurationError: the file does not hold keys, or others may read it.
    """
    try:
        # guard: keys of short tokens are closed to other users
        if file.stat().st_mode & (S_IRWXG | S_IRWXO):
            raise ConfigurationError(
                f"the key file {file} is open to other users.",
                remedy="Delete it: the next exchange of a token creates another.",
            )
        keys = file.read_text("ascii", errors="replace").split()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigurationError(
            f"the key file {file} cannot be read: {error.strerror}.", remedy="Correct its permissions, or delete it."
        ) from error
    if not 1 <= len(keys) <= KEPT or not all(map(KEY.fullmatch, keys)):
        raise ConfigurationError(
            f"{file} does not hold keys.", remedy="Delete it: the next exchange of a token creates another."
        )
    return tuple(keys)


class KeyFile:
    """A server's view of the keys."""

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path, read_keys)

    def verifying(self) -> Sequence[str]:
        """The keys that verify tokens; none before the first exchange.

        Raises:
            ConfigurationError: as `read_keys`.
        """
        return self._file.current()

    def signing(self) -> str:
        """The key that signs tokens, which is created if there is none.

        Raises:
            ConfigurationError: as `read_keys`.
            StorageError: the file cannot be written.
        """
        if not self.verifying():
            path = self._file.path
            # guard: of two that make keys one wins
            with exclusive(_lock(path)):
                if not read_keys(path):
                    _write(path, [secrets.token_urlsafe(KEY_BYTES)])
        return self.verifying()[0]


def _write(file: Path, keys: Sequence[str]) -> None:
    with atomic_path(file) as temporary:
        # guard: keys of short tokens are private
        temporary.chmod(PRIVATE)
        temporary.write_text("\n".join(keys) + "\n")


def _lock(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")
