"""The key of an installation: the first process that needs it creates it, and no process ever shows it."""

import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows_platform.access.hosts import header_values
from flows_platform.access.private import make_home
from flows_platform.domain.errors import StorageError

KEY_BYTES = 32
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")  # KEY_BYTES as URL-safe base64


def installation_key(path: Path) -> str:
    """The key in the file `path`, which is created with mode 0600 if it does not exist.

    Raises:
        StorageError: the file cannot be made or read, others may read it, or it does not hold a key.
    """
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise StorageError(
            f"the key file {path} cannot be used: {error.strerror or error}.",
            remedy="Set FLOWS_HOME to a folder that you own.",
        ) from error


def _make(path: Path) -> None:
    """Write it elsewhere and link it: of two processes one wins, and no process reads half a key."""
    make_home(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    # guard: a key file is closed to other users
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(KEY_BYTES).encode())
        with suppress(FileExistsError):
            # guard: of two that make a key one wins
            os.link(draft, path)
    finally:
        os.close(descriptor)
        draft.unlink()


def _read(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        # guard: a key file that others may use is refused
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StorageError(
                f"the key file {path} is open to other users.", remedy="Delete it and start again: a new one is made."
            )
        key = file.read(1000).strip()
    if not _KEY.fullmatch(key):
        raise StorageError(f"the file {path} does not hold a key.", remedy="Delete it and start again.")
    return key


def same_key(key: str, given: str) -> bool:
    """Whether both are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(key.encode(), given.encode(errors="surrogateescape"))


def bearer(scope: Mapping[str, Any]) -> str:
    """The bearer token of an ASGI request; empty where there is none, or more than one."""
    values = header_values(scope, b"authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""
