"""How a request proves who asks. Secrets stay out of every repr, log and message."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Protocol


class Auth(Protocol):
    """Headers that carry the proof, and what of it must never be shown."""

    def headers(self) -> dict[str, str]: ...
    def secrets(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class NoAuth:
    """An API open to all who reach it."""

    def headers(self) -> dict[str, str]:
        return {}

    def secrets(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """A key in a header of the API's choice."""

    name: str
    # guard: a key is in no repr
    secret: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {self.name: self.secret}

    def secrets(self) -> tuple[str, ...]:
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A token (RFC 6750)."""

    # guard: a token is in no repr
    token: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User and password (RFC 7617)."""

    user: str
    password: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {self._pair()}"}

    def secrets(self) -> tuple[str, ...]:
        return (self.password, self._pair())

    def _pair(self) -> str:
        return b64encode(f"{self.user}:{self.password}".encode()).decode()
