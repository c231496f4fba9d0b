"""Bearer tokens: creates them, keeps their hashes in a file, and checks them. Independent of HTTP.

A token is 256 random bits, so its SHA-256 is as good as a slow, salted hash: there is no dictionary to try, and no two
tokens are equal. With a fast hash, wrong tokens cannot keep the server busy.
"""

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from flows_platform.domain.errors import ConfigurationError
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.followed_files import FollowedFile
from flows_platform.runtime.locks import exclusive

# By these marks, scanners find leaked tokens, and we keep tokens out of what we write.
MARK, SHORT_MARK = "flows_", "flowss_"
SECRET_BYTES = 32
LOOKS_LIKE_TOKEN = re.compile(f"(?:{MARK}|{SHORT_MARK})[A-Za-z0-9_-]{{40,}}")
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
REPORT_SCOPE = re.compile("reports:[a-z][a-z0-9_]{0,63}", re.ASCII)
MARK_DIGITS = 16  # digits of the hash by which a short token refers to its parent
PRIVATE = 0o600


class Scope(StrEnum):
    """What a token allows."""

    FLOWS_READ = "flows:read"  # the streams
    STATUS_READ = "status:read"  # the newest time and the number of rows
    CVES_READ = "cves:read"  # everything about CVEs
    REPORTS_READ = "reports:read"  # all reports; `reports:NAME` is one
    ALERTS_READ = "alerts:read"  # the archived records of webhooks
    ALERTS_REPLAY = "alerts:replay"  # their details, fetched again


def report_scope(name: str) -> str:
    """The scope of one report."""
    return f"reports:{name}"


def is_report_scope(scope: str) -> bool:
    """Whether the scope is that of all reports or of one."""
    return REPORT_SCOPE.fullmatch(scope) is not None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows.

    Args:
        name: The name of the token, or of its parent.
        scopes: Its scopes: those of `Scope`, and those of single reports.
        fixed: Values of reports' parameters, as URLs write them, which requests cannot change.
        expires: When the token expires, in UTC; None if it does not.
        mark: The first digits of the hash of the token in the file.
    """

    name: str
    scopes: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    expires: datetime | None = None
    mark: str = ""

    def allows(self, scope: Scope) -> bool:
        """Whether requests that need `scope` are allowed. The scope of one report is enough; `reads` decides then."""
        # guard: fixed parameters are those of reports
        if self.fixed and scope is not Scope.REPORTS_READ:
            return False
        return scope in self.scopes or (scope is Scope.REPORTS_READ and any(map(is_report_scope, self.scopes)))

    def has(self, scope: Scope) -> bool:
        """Whether the token has the whole scope, without fixed parameters."""
        return scope in self.scopes and not self.fixed

    def reads(self, report: str) -> bool:
        """Whether the token has the scope of this report."""
        return Scope.REPORTS_READ in self.scopes or report_scope(report) in self.scopes


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """What the file has about a token. Times are in ISO 8601; `expires` is empty if the token does not expire."""

    name: str
    scopes: tuple[str, ...]
    created: str
    sha256: str
    fixed: Mapping[str, str] = field(default_factory=dict)
    expires: str = ""

    @property
    def grant(self) -> Grant:
        """What the token allows."""
        expires = datetime.fromisoformat(self.expires) if self.expires else None
        return Grant(self.name, self.scopes, self.fixed, expires, self.sha256[:MARK_DIGITS])


def create_token(
    file: Path,
    name: str,
    scopes: Iterable[str],
    created: datetime,
    *,
    fixed: Mapping[str, str] | None = None,
    expires: datetime | None = None,
) -> str:
    """Create a token, of which only the hash is kept. `fixed` and `expires` are as in `Grant`.

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
    times = [moment.isoformat(timespec="seconds") if moment else "" for moment in (created, expires)]
    entry = TokenEntry(name, tuple(scopes), times[0], _hash(token), dict(fixed or {}), times[1])
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
    """Remove a token. A running server refuses it from the next request on.

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
    """The tokens in the file.

    Raises:
        ConfigurationError: the file is missing, cannot be read, is not a token file, or is writable by other users.
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


def _entry(given: dict[str, object]) -> TokenEntry:
    scopes, fixed = given["scopes"], given.get("fixed", {})
    if not isinstance(scopes, list) or not isinstance(fixed, dict):
        raise TypeError("scopes are a list, fixed parameters an object")
    # guard: a limit that is not understood is not ignored
    if given.keys() - {one.name for one in fields(TokenEntry)}:
        raise ValueError("a key is unknown")
    names = tuple(scope if is_report_scope(scope) else Scope(scope) for scope in scopes)
    entry = TokenEntry(
        name=str(given["name"]),
        scopes=names,
        created=str(given["created"]),
        sha256=str(given["sha256"]),
        fixed={str(name): str(value) for name, value in fixed.items()},
        expires=str(given.get("expires", "")),
    )
    if (expires := entry.grant.expires) and expires.tzinfo is None:
        raise ValueError("a time without a zone")
    return entry


def _write(file: Path, entries: Sequence[TokenEntry]) -> None:
    written = [{key: value for key, value in asdict(entry).items() if value or key == "scopes"} for entry in entries]
    with atomic_path(file) as temporary:
        temporary.chmod(PRIVATE)
        temporary.write_text(json.dumps({"tokens": written}, indent=2) + "\n")


def _lock(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _hash(token: str) -> str:
    # guard: tokens at rest are hashes
    return sha256(token.encode()).hexdigest()


class TokenFile:
    """A server's view of the file, which is read again after it was replaced: revoking a token needs no restart."""

    def __init__(self, file: Path) -> None:
        self._file = FollowedFile(file, read_tokens)

    def grant_of(self, token: str) -> Grant | None:
        """What a token in the file allows, even if it has expired; None for an unknown one. Takes constant time.

        Raises:
            ConfigurationError: the file cannot be read any more.
        """
        given, found = _hash(token), None
        for entry in self._file.current():
            # guard: tokens are compared with what is stored
            if compare_digest(given, entry.sha256):
                found = entry.grant
        return found

    def grant_marked(self, mark: str) -> Grant | None:
        """The same for the mark of a token, which must come from a signed text."""
        found = [entry for entry in self._file.current() if entry.sha256.startswith(mark)]
        return found[0].grant if found else None


def without_tokens(text: str) -> str:
    """The text without anything that looks like a token."""
    # guard: tokens leave no text
    return LOOKS_LIKE_TOKEN.sub(f"{MARK}…", text)
