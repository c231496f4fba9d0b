"""How a request authenticates: one class per kind. Secrets never appear in a repr, a log or a message.

A new kind is a class here and a name in `AnyAuth`. It gets the request as it will be sent, so it may also sign the
method, the parameters and the body.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Annotated, Literal
from urllib.parse import quote_plus, urlencode

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
    def secret_parameters(self) -> frozenset[str]:
        """Names of the query parameters that hold a secret."""
        return frozenset()

    @property
    def key(self) -> Secret | None:
        """The key that raises the API's budget of requests, if the kind has one."""
        return None

    def masked(self, secrets: Secrets) -> tuple[str, ...]:
        """The texts that must never be shown."""
        return tuple(secrets[secret.env] for secret in self.secrets)

    def token_request(self, secrets: Secrets, refresh_token: str = "") -> Request | None:  # noqa: ARG002
        """The request for a token that every request needs, where the kind has one.

        `refresh_token` replaces the declared one, where the server has issued another.
        """
        return None

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
    def secret_parameters(self) -> frozenset[str]:
        return frozenset({self.name})

    @property
    def key(self) -> Secret:
        return self.value

    def apply(self, request: Request, secrets: Secrets) -> Request:
        value = secrets[self.value.env]
        return request if request.fixed or not value else request.with_parameters({self.name: value})


class OAuth2(Auth):
    """A token by client credentials or a refresh token (RFC 6749). It is renewed before it expires, and on 401."""

    kind: Literal["oauth2"] = "oauth2"
    token_url: str = Field(pattern=r"^https?://[^/?#@]+([/?].*)?$", description="The URL that issues tokens.")
    client_id: Secret = Field(description="The client's id.")
    client_secret: Secret = Field(description="The client's secret.")
    refresh_token: Secret | None = Field(
        None, description="A refresh token to ask with, instead of client credentials."
    )
    scope: str | None = Field(None, description="Scopes of the token, with spaces between.")
    parameters: dict[str, str | Secret] = Field(
        {}, description="Other parameters of the token's request, such as `audience`."
    )
    send: Literal["body", "basic"] = Field("body", description="Whether id and secret go in the body or as Basic.")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        others = (value for value in self.parameters.values() if isinstance(value, Secret))
        return (*super().secrets, *others)

    def masked(self, secrets: Secrets) -> tuple[str, ...]:
        return (*super().masked(secrets), self._pair(secrets))

    def token_request(self, secrets: Secrets, refresh_token: str = "") -> Request:
        own = {"grant_type": "refresh_token" if self.refresh_token else "client_credentials"}
        if self.refresh_token:
            own["refresh_token"] = refresh_token or secrets[self.refresh_token.env]
        if self.scope:
            own["scope"] = self.scope
        for name, value in self.parameters.items():
            own[name] = secrets[value.env] if isinstance(value, Secret) else value
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "flows-platform"}
        if self.send == "body":
            own |= {"client_id": secrets[self.client_id.env], "client_secret": secrets[self.client_secret.env]}
        form = "application/x-www-form-urlencoded"
        request = Request(
            self.token_url, headers=headers, method="POST", body=urlencode(own).encode(), content_type=form
        )
        if self.send == "basic":
            return request.with_secret_header("Authorization", f"Basic {self._pair(secrets)}")
        return request

    def apply(self, request: Request, secrets: Secrets) -> Request:  # noqa: ARG002 - the token is added when it is sent
        return request

    def _pair(self, secrets: Secrets) -> str:
        """Id and secret as Basic sends them: each as in a form (RFC 6749, 2.3.1)."""
        pair = (quote_plus(secrets[secret.env]) for secret in (self.client_id, self.client_secret))
        return b64encode(":".join(pair).encode()).decode()


AnyAuth = Annotated[Basic | Bearer | HeaderKey | QueryKey | OAuth2, Field(discriminator="kind")]
