"""Bearer tokens: creating them, keeping their hashes in one file, checking them. Does not know HTTP.

A token is 256 random bits, so its SHA-256 is as good as a slow, salted hash: there is no dictionary to try, and no two
tokens are alike. A fast hash also means that wrong tokens cannot keep the server busy.
"""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from flows_platform.domain.errors import ConfigurationError
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.locks import exclusive

# By the mark scanners find leaked tokens, and we keep tokens out of what we write.
MARK = "flows_"
SECRET_BYTES = 32
LOOKS_LIKE_TOKEN = re.compile(MARK + "[A-Za-z0-9_-]{40,}")
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PRIVATE = 0o600


class Scope(StrEnum):
    """What a token allows."""

    FLOWS_READ = "flows:read"  # the streams
    STATUS_READ = "status:read"  # the newest time and the number of rows
    CVES_READ = "cves:read"  # everything about CVEs
    REPORTS_READ = "reports:read"  # all reports


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """What the file holds of a token; `created` is an ISO 8601 time."""

    name: str
    scopes: tuple[str, ...]
    created: str
    sha256: str


def create_token(file: Path, name: str, scopes: Iterable[Scope], created: datetime) -> str:
    """Create a token; only its hash is kept.

    Raises:
        ConfigurationError: the name is taken or invalid, or the file is not a token file.
        StorageError: the file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not the name of a token.",
            remedy="Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    token = MARK + secrets.token_urlsafe(SECRET_BYTES)
    entry = TokenEntry(name, tuple(scopes), created.isoformat(timespec="seconds"), _hash(token))
    # guard: makers of tokens take turns
    with exclusive(_lock(file)):
        entries = read_tokens(file) if file.exists() else []
        if any(other.name == name for other in entries):
            raise ConfigurationError(
                f"{file} already holds a token {name}.", remedy=f"Choose another name, or `flows token revoke {name}`."
            )
        _write(file, [*entries, entry])
    return token


def revoke_token(file: Path, name: str) -> None:
    """Remove a token; a running server refuses it from its next request on.

    Raises:
        ConfigurationError: the token or the file does not exist.
        StorageError: the file cannot be written.
    """
    with exclusive(_lock(file)):
        entries = read_tokens(file)
        kept = [entry for entry in entries if entry.name != name]
        if len(kept) == len(entries):
            raise ConfigurationError(f"{file} holds no token {name}.", remedy="`flows token list` shows all.")
        _write(file, kept)


def read_tokens(file: Path) -> list[TokenEntry]:
    """What the file holds.

    Raises:
        ConfigurationError: it is missing, cannot be read, is not a token file, or other users may write it.
    """
    try:
        # guard: the token file is its owner's
        if file.stat().st_mode & (S_IWGRP | S_IWOTH):
            raise ConfigurationError(f"other users may write the token file {file}.", remedy=f"chmod 600 {file}")
        return [_entry(fields) for fields in json.loads(file.read_bytes())["tokens"]]
    except OSError as error:
        raise ConfigurationError(
            f"the token file {file} cannot be read: {error.strerror}.",
            remedy=f"Create one: `flows token create NAME --tokens {file}`.",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{file} is not a token file.", remedy="Name another, or delete it and create tokens again."
        ) from error


def _entry(fields: dict[str, object]) -> TokenEntry:
    scopes = fields["scopes"]
    if not isinstance(scopes, list):
        raise TypeError("scopes are a list")
    names = tuple(Scope(scope) for scope in scopes)
    return TokenEntry(str(fields["name"]), names, str(fields["created"]), str(fields["sha256"]))


def _write(file: Path, entries: Sequence[TokenEntry]) -> None:
    with atomic_path(file) as temporary:
        temporary.chmod(PRIVATE)
        temporary.write_text(json.dumps({"tokens": [asdict(entry) for entry in entries]}, indent=2) + "\n")


def _lock(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _hash(token: str) -> str:
    # guard: tokens at rest are hashes
    return sha256(token.encode()).hexdigest()


class TokenFile:
    """A server's view of the file: read again once it was replaced, so that a revoked token ends without a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: tuple[int, ...] = ()
        self._entries: Sequence[TokenEntry] = ()

    def scopes_of(self, token: str) -> tuple[str, ...] | None:
        """What a token allows, None for an unknown one. Takes the same time for every token.

        Raises:
            ConfigurationError: the file cannot be read any more.
        """
        given, scopes = _hash(token), None
        for entry in self._current():
            # guard: tokens are compared with what is stored
            if compare_digest(given, entry.sha256):
                scopes = entry.scopes
        return scopes

    def _current(self) -> Sequence[TokenEntry]:
        try:
            found = self._file.stat()
            state: tuple[int, ...] = (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)
        except OSError:
            state = ()
        # guard: a revoked token ends
        if not state or state != self._state:
            self._entries = read_tokens(self._file)
            self._state = state
        return self._entries


def without_tokens(text: str) -> str:
    """The text without anything that looks like a token."""
    # guard: tokens leave no text
    return LOOKS_LIKE_TOKEN.sub(f"{MARK}…", text)
