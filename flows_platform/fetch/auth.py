"""How a request authenticates: one class per kind. Secrets never appear in a repr, a log or a message.

A new kind is a class here and a name in `AnyAuth`. It gets the request as it will be sent, so it may also sign the
method, the parameters and the body.
"""

import hmac
import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from pydantic import Field, model_validator
from urllib3.util import parse_url

from flows_platform.declared import HTTP_URL, Declared, Secret, Secrets, refused
from flows_platform.fetch.aws import aws_signed
from flows_platform.fetch.body import BodyForm
from flows_platform.fetch.http.redirects import PORTS
from flows_platform.fetch.http.request import Request

_NAME = re.compile(r"\{([a-z_0-9]+)\}")


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
        return _with_basic(request, self._pair(secrets))

    def _pair(self, secrets: Secrets) -> str:
        return _basic_pair(secrets[self.user.env], secrets[self.password.env])


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
    token_url: str = Field(pattern=HTTP_URL, description="The URL that issues tokens.")
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
        form = BodyForm.FORM.content_type
        request = Request(
            self.token_url, headers=headers, method="POST", body=urlencode(own).encode(), content_type=form
        )
        return _with_basic(request, self._pair(secrets)) if self.send == "basic" else request

    def apply(self, request: Request, secrets: Secrets) -> Request:  # noqa: ARG002 - the token is added when it is sent
        return request

    def _pair(self, secrets: Secrets) -> str:
        """Id and secret as Basic sends them: each as in a form (RFC 6749, 2.3.1)."""
        return _basic_pair(*(quote_plus(secrets[secret.env]) for secret in (self.client_id, self.client_secret)))


class Hmac(Auth):
    """A signature of the request by a shared secret (RFC 2104)."""

    kind: Literal["hmac"] = "hmac"
    secret: Secret = Field(description="The key of the signature.")
    hash: Literal["sha1", "sha256", "sha384", "sha512"] = Field("sha256", description="The hash function.")
    encoding: Literal["hex", "base64"] = Field("hex", description="How the signature is written.")
    sign: str = Field(
        description="The text to sign, with {date}, {timestamp} (epoch seconds), {method}, {host}, {path}, {query} "
        "(sorted by name, RFC 3986), {body} and {body_sha256}."
    )
    headers: dict[str, str] = Field({}, description="Headers to add, with the same names and {signature}.")
    user: Secret | None = Field(None, description="User of Basic authentication, with the signature as the password.")

    @model_validator(mode="after")
    def _sends_the_signature(self) -> Self:
        if "{signature}" in self.sign:
            raise refused("{signature} is what comes of it", ("sign",))
        if self.user is None and not any("{signature}" in text for text in self.headers.values()):
            raise refused("the signature is sent nowhere: write {signature} into one of `headers`, or declare `user`")
        sent = " ".join(self.headers.values())
        for name in ("date", "timestamp"):
            if f"{{{name}}}" in self.sign and f"{{{name}}}" not in sent:
                raise refused(f"{{{name}}} is signed and not sent: write it into one of `headers`", ("sign",))
        return self

    def apply(self, request: Request, secrets: Secrets) -> Request:
        return self.signed(request, secrets, datetime.now(UTC))

    def signed(self, request: Request, secrets: Secrets, now: datetime) -> Request:
        """The request with its signature at this time.

        Raises:
            ConfigurationError: the user or a header has characters that a header cannot hold.
        """
        names = _signed_names(request, now)
        text = _filled(self.sign, names)
        digest = hmac.new(secrets[self.secret.env].encode(), text.encode(), self.hash).digest()
        names["signature"] = digest.hex() if self.encoding == "hex" else b64encode(digest).decode()
        for name, template in self.headers.items():
            request = request.with_secret_header(name, _filled(template, names))
        if self.user is None:
            return request
        return _with_basic(request, _basic_pair(secrets[self.user.env], names["signature"]))


def _signed_names(request: Request, now: datetime) -> dict[str, str]:
    """What a text to sign may name, as the server sees it."""
    target, body = parse_url(request.target), request.body or b""
    port = "" if target.port in {None, PORTS.get(target.scheme or "")} else f":{target.port}"
    return {
        "date": format_datetime(now, usegmt=True),
        "timestamp": str(int(now.timestamp())),
        "method": request.method,
        "host": f"{target.host}{port}",
        "path": target.path or "/",
        "query": _rfc_3986(sorted(_query_pairs(target.query or ""))),
        "body": body.decode(),
        "body_sha256": sha256(body).hexdigest(),
    }


def _filled(template: str, names: Mapping[str, str]) -> str:
    """The text with the names that it has in braces; other braces stay."""
    return _NAME.sub(lambda found: names.get(found[1], found[0]), template)


class Aws(Auth):
    """A signature of AWS, version 4, by botocore's signer (the extra `aws`)."""

    kind: Literal["aws"] = "aws"
    region: str = Field(description="The region, such as us-east-1.")
    service: str = Field(description="The service's name in signatures, such as cloudtrail.")
    access_key: Secret = Field(Secret(env="AWS_ACCESS_KEY_ID"), description="The access key's id.")
    secret_key: Secret = Field(Secret(env="AWS_SECRET_ACCESS_KEY"), description="The secret access key.")
    session_token: Secret = Field(
        Secret(env="AWS_SESSION_TOKEN", required=False), description="The token of temporary credentials."
    )

    def apply(self, request: Request, secrets: Secrets) -> Request:
        return aws_signed(
            _with_query_of_aws(request),
            self.region,
            self.service,
            (secrets[self.access_key.env], secrets[self.secret_key.env], secrets[self.session_token.env]),
        )


def _with_query_of_aws(request: Request) -> Request:
    """The request with its query as AWS computes the signature: RFC 3986, a space as %20."""
    base, mark, query = request.target.partition("?")
    return replace(request, url=f"{base}{mark}{_rfc_3986(_query_pairs(query))}", parameters=())


def _query_pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _rfc_3986(pairs: Iterable[tuple[str, str]]) -> str:
    """The pairs as a query whose every reserved character is percent-encoded."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)


def _basic_pair(user: str, password: str) -> str:
    """User and password as Basic authentication writes them."""
    return b64encode(f"{user}:{password}".encode()).decode()


def _with_basic(request: Request, pair: str) -> Request:
    return request.with_secret_header("Authorization", f"Basic {pair}")


AnyAuth = Annotated[Basic | Bearer | HeaderKey | QueryKey | OAuth2 | Hmac | Aws, Field(discriminator="kind")]
