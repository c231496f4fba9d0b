"""How a request authenticates: one class per kind. Secrets never appear in a repr, a log or a message.

A new kind is a class here and a name in `AnyAuth`. It gets the request as it will be sent, so it may also sign the
method, the parameters and the body.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Annotated, Literal

from pydantic import Field

from flows_platform.declared import Declared, Secret, Secrets
from flows_platform.fetch.http.request import Request


class Auth(Declared, ABC):
    """How a request authenticates."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that the YAML names."""
        return tuple(value for _, value in self if isinstance(value, Secret))

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the query parameters that hold a secret."""
        return frozenset()

    @property
    def key(self) -> Secret | None:
        """The key that raises the API's budget of requests, if the kind has one."""
        return None

    def masked(self, secrets: Secrets) -> tuple[str, ...]:
        """The texts that must never be shown."""
        return tuple(secrets[secret.env] for secret in self.secrets)

    @abstractmethod
    def apply(self, request: Request, secrets: Secrets) -> Request:
        """The request with its credentials.

        Raises:
            ConfigurationError: a secret has characters that a header cannot hold.
        """


class NoAuth(Auth):
    """An API that needs no credentials."""

    def apply(self, request: Request, secrets: Secrets) -> Request:  # noqa: ARG002 - as the other kinds
        return request


class Basic(Auth):
    """User and password (RFC 7617)."""

    kind: Literal["basic"] = "basic"
    user: Secret = Field(description="The user's name.")
    password: Secret = Field(description="The password.")

    def masked(self, secrets: Secrets) -> tuple[str, ...]:
        return (secrets[self.password.env], self._pair(secrets))

    def apply(self, request: Request, secrets: Secrets) -> Request:
        return request.with_secret_header("Authorization", f"Basic {self._pair(secrets)}")

    def _pair(self, secrets: Secrets) -> str:
        return b64encode(f"{secrets[self.user.env]}:{secrets[self.password.env]}".encode()).decode()


class Bearer(Auth):
    """A token (RFC 6750)."""

    kind: Literal["bearer"] = "bearer"
    token: Secret = Field(description="The token.")

    def apply(self, request: Request, secrets: Secrets) -> Request:
        token = secrets[self.token.env]
        return request.with_secret_header("Authorization", f"Bearer {token}") if token else request


class HeaderKey(Auth):
    """A key in a header of the API's choice."""

    kind: Literal["header"] = "header"
    name: str = Field(description="Name of the header.")
    value: Secret = Field(description="The key.")

    @property
    def key(self) -> Secret:
        return self.value

    def apply(self, request: Request, secrets: Secrets) -> Request:
        value = secrets[self.value.env]
        return request.with_secret_header(self.name, value) if value else request


class QueryKey(Auth):
    """A key in a query parameter. It is masked wherever the request is shown."""

    kind: Literal["query"] = "query"
    name: str = Field(description="Name of the parameter.")
    value: Secret = Field(description="The key.")

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset({self.name})

    @property
    def key(self) -> Secret:
        return self.value

    def apply(self, request: Request, secrets: Secrets) -> Request:
        value = secrets[self.value.env]
        return request if request.fixed or not value else request.with_parameters({self.name: value})


AnyAuth = Annotated[Basic | Bearer | HeaderKey | QueryKey, Field(discriminator="kind")]
