"""Which tokens are valid now, and what they allow: those in the file, and short ones that were exchanged for them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from api_server.http.short_tokens import LIFE, Claims, claims_of, sign
from api_server.http.token_keys import KeyFile
from api_server.http.tokens import SHORT_MARK, Grant, Scope, TokenFile, is_report_scope

# The scope that Snowflake's clients ask for: a role and a host. It narrows nothing, since there are no roles here.
SESSION = re.compile(r"session:scope:\S+(?: +\S+)?")


class NotValid(Exception):
    """A token is not valid. The text says why, without the token."""


class ScopeRefused(Exception):
    """A scope is not one of the token's. The text is the scope."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A short token, the seconds for which it is valid, and its scopes."""

    token: str
    seconds: int
    scopes: tuple[str, ...]


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Authority:
    """The tokens of one server."""

    def __init__(self, tokens: TokenFile, keys: KeyFile, now: Callable[[], datetime] = utc_now) -> None:
        self._tokens, self._keys, self._now = tokens, keys, now

    def grant(self, token: str) -> Grant:
        """What a token allows.

        Raises:
            NotValid: the token, or its parent, is unknown, revoked, expired or forged.
            ConfigurationError: the tokens or keys cannot be read.
        """
        if not token.startswith(SHORT_MARK):
            return self._current(self._tokens.grant_of(token))
        claims = claims_of(token, self._keys.verifying())
        if claims is None:
            raise NotValid("The token is not known here.")
        if not claims.counts_at(self._now().timestamp()):
            raise NotValid("The token has expired: exchange the long-lived one again.")
        # guard: a short token ends with its parent
        return _narrowed(self._current(self._tokens.grant_marked(claims.parent)), claims)

    def exchange(self, token: str, scope: str) -> Issued:
        """A short token for a long-lived one, with the scopes that `scope` names, or with all if it is empty.

        Raises:
            NotValid: the token is not valid, or is a short one.
            ScopeRefused: a scope is not one of the token's.
            ConfigurationError: the tokens or keys cannot be read.
            StorageError: the keys cannot be written.
        """
        # guard: a short token gives no other
        if token.startswith(SHORT_MARK):
            raise NotValid("A short token cannot be exchanged: use the long-lived one.")
        parent = self._current(self._tokens.grant_of(token))
        scopes, now = _chosen(parent, scope), int(self._now().timestamp())
        left = LIFE if parent.expires is None else int(parent.expires.timestamp()) - now
        seconds = min(LIFE, left)
        claims = Claims(parent.mark, scopes, now, now + seconds)
        return Issued(sign(claims, self._keys.signing()), seconds, scopes)

    def _current(self, found: Grant | None) -> Grant:
        if found is None:
            raise NotValid("The token is not known here.")
        # guard: tokens end at their time
        if found.expires is not None and self._now() >= found.expires:
            raise NotValid(f"The token {found.name} has expired: create another.")
        return found


def _narrowed(parent: Grant, claims: Claims) -> Grant:
    """The parent's current grant, limited to the scopes of the claims."""
    # guard: a short token is never wider than its parent
    return replace(parent, scopes=tuple(scope for scope in claims.scopes if _has(parent, scope)))


def _chosen(parent: Grant, scope: str) -> tuple[str, ...]:
    asked: Sequence[str] = () if SESSION.fullmatch(scope) else scope.split()
    # guard: an exchange widens nothing
    if refused := [text for text in asked if not _has(parent, text)]:
        raise ScopeRefused(refused[0])
    return tuple(dict.fromkeys(asked)) or parent.scopes


def _has(parent: Grant, scope: str) -> bool:
    return scope in parent.scopes or (is_report_scope(scope) and Scope.REPORTS_READ in parent.scopes)
