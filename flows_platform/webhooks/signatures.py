"""How a delivery proves who sent it: one class per kind of `verify`. Signatures cover the bytes as they came.

To add a kind, add a class here and its name to `AnyVerification`. All comparisons take constant time.
"""

import re
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flows_platform.columns.paths import RecordPath
from flows_platform.declared import Declared, Secret, Secrets, refused
from flows_platform.domain.errors import ConfigurationError
from flows_platform.webhooks.delivery import Delivery, Unverified

HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_URL_KEY = re.compile(r"[A-Za-z0-9._~-]{8,200}")
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_BASIC = re.compile(r"basic +(\S+)", re.IGNORECASE)
STANDARD_KEY = "whsec_"
_STANDARD_ID = re.compile(r"[^.\s]{1,200}")
_SIGNED_NAME = re.compile(r"\{([a-z]+)\}")
_TOLERANCE = Field(300, ge=1, le=86_400, description="Seconds by which the signed time may differ from ours.")


class Verification(Declared, ABC):
    """How a delivery proves who sent it."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that the declaration names."""
        return tuple(value for _, value in self if isinstance(value, Secret))

    @property
    def proves(self) -> bool:
        """Whether deliveries prove anything."""
        return True

    @property
    def in_url(self) -> bool:
        """Whether the URL contains a secret."""
        return False

    @property
    def evidence(self) -> tuple[str, ...]:
        """Names of the headers that are kept as evidence, in lower case; never those that hold a secret."""
        return ()

    @property
    def id_headers(self) -> tuple[str, ...]:
        """Names of the headers that may have the delivery's id; the first that is present counts."""
        return ()

    @property
    def id_path(self) -> RecordPath | None:
        """The path of the delivery's id in the body; None if the body has none."""
        return None

    def greeted(self, delivery: Delivery, body: Mapping[str, object]) -> dict[str, object] | None:  # noqa: ARG002
        """The answer to a delivery that only tests the connection; None for all others."""
        return None

    def check(self, secrets: Secrets) -> None:
        """Refuse secrets that cannot verify anything.

        Raises:
            ConfigurationError: a secret is empty, or does not have the form that this kind needs.
        """

    @abstractmethod
    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        """Verify a delivery.

        Raises:
            Unverified: it does not prove who sent it.
        """


class Nobody(Verification):
    """No proof, for a receiver that only this machine can reach."""

    kind: Literal["none"] = "none"

    @property
    def proves(self) -> bool:
        return False

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        """Accept every delivery."""


class BySecret(Verification, ABC):
    """A proof by a secret that is shared with the sender."""

    secret: Secret = Field(description="The secret that is shared with the sender.")
    old: Secret | None = Field(
        None, description="A second secret that is also accepted, while the secret is being changed."
    )

    def check(self, secrets: Secrets) -> None:
        # guard: an empty secret verifies nothing
        if not secrets[self.secret.env]:
            raise ConfigurationError(
                f"the environment variable {self.secret.env} is empty.",
                remedy="Set it to the secret that is shared with the sender.",
            )

    def keys(self, secrets: Secrets) -> list[str]:
        """The accepted secrets."""
        found = [secrets[secret.env] for secret in (self.secret, self.old) if secret]
        # guard: an unset secret is not a key
        return [key for key in found if key]


def _is_any(given: Iterable[bytes], expected: Iterable[bytes]) -> bool:
    """Whether one of the given digests is expected. All pairs are compared, so the time does not say which differ."""
    wanted = list(expected)
    # A list and not a generator, so that all pairs are compared.
    equal = [compare_digest(one, other) for one in given for other in wanted]
    return any(equal)


def _required(delivery: Delivery, name: str, what: str = "signature") -> str:
    value = delivery.header(name)
    if value is None:
        raise Unverified(what, f"The header {name} is missing.")
    return value


def _require(*, proven: bool, name: str) -> None:
    # guard: a wrong signature is refused
    if not proven:
        raise Unverified("signature", f"The signature in {name} is not that of this body by the shared secret.")


def _require_key(*, proven: bool, where: str) -> None:
    # guard: a wrong key is refused
    if not proven:
        raise Unverified("key", f"{where} is not the shared secret.")


def _require_time(delivery: Delivery, text: str, tolerance: int) -> None:
    """Refuse a signed time, in seconds since 1970, that is not close to now."""
    late = delivery.received.timestamp() - int(text) if _SECONDS.fullmatch(text) else None
    if late is None:
        raise Unverified("timestamp", "The timestamp is not a number of seconds since 1970.")
    # guard: a stale delivery is refused
    if abs(late) > tolerance:
        which = "older" if late > 0 else "further ahead"
        raise Unverified("timestamp", f"The timestamp is {which} than {tolerance} seconds.")


def _from_hex(text: str) -> bytes:
    """The bytes of a hexadecimal text; for any other text no bytes, which equal no digest."""
    try:
        return bytes.fromhex(text) if not re.search(r"\s", text) else b""
    except ValueError:
        return b""


def _from_base64(text: str) -> bytes:
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:  # also binascii.Error and UnicodeEncodeError
        return b""


_ENCODINGS: dict[str, Callable[[str], bytes]] = {"hex": _from_hex, "base64": _from_base64}


class Standard(BySecret):
    """Standard Webhooks; also Svix, whose headers have other names."""

    kind: Literal["standard"] = "standard"
    tolerance: int = _TOLERANCE

    @property
    def evidence(self) -> tuple[str, ...]:
        return tuple(f"{family}-{name}" for family in _FAMILIES for name in ("id", "timestamp", "signature"))

    @property
    def id_headers(self) -> tuple[str, ...]:
        return tuple(f"{family}-id" for family in _FAMILIES)

    def check(self, secrets: Secrets) -> None:
        super().check(secrets)
        for secret in (self.secret, self.old):
            if secret and secrets[secret.env] and not standard_key(secrets[secret.env]):
                raise ConfigurationError(
                    f"the secret in {secret.env} is not one of Standard Webhooks.",
                    remedy=f"It is base64 after {STANDARD_KEY}, as the sender shows it.",
                )

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        # The same headers as in `id_headers`, so that the delivery's id is the signed one.
        # guard: the id that counts is signed
        family = next((name for name in _FAMILIES if f"{name}-id" in delivery.headers), _FAMILIES[0])
        sent = _required(delivery, f"{family}-signature")
        message, time = _required(delivery, f"{family}-id"), _required(delivery, f"{family}-timestamp", "timestamp")
        # guard: an id does not reach into what follows it
        if not _STANDARD_ID.fullmatch(message):
            raise Unverified("signature", f"{family}-id is not an id: it is empty, or has a dot or a space.")
        signed = b".".join([message.encode("latin-1"), time.encode("latin-1"), delivery.body])
        given = [
            _from_base64(text) for version, _, text in (one.partition(",") for one in sent.split()) if version == "v1"
        ]
        expected = [digest(standard_key(key), signed, "sha256") for key in self.keys(secrets)]
        _require(proven=_is_any(given, expected), name=f"{family}-signature")
        _require_time(delivery, time, self.tolerance)


_FAMILIES = ("webhook", "svix")


def standard_key(secret: str) -> bytes:
    """The key in a secret of Standard Webhooks; empty if it is not such a secret."""
    return _from_base64(secret.removeprefix(STANDARD_KEY))


class GitHub(BySecret):
    """GitHub: a signature of the body."""

    kind: Literal["github"] = "github"

    @property
    def evidence(self) -> tuple[str, ...]:
        return ("x-hub-signature-256", "x-github-delivery", "x-github-event")

    @property
    def id_headers(self) -> tuple[str, ...]:
        return ("x-github-delivery",)

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        name = "X-Hub-Signature-256"
        scheme, _, sent = _required(delivery, name).partition("=")
        given = [_from_hex(sent)] if scheme == "sha256" else []
        expected = [digest(key.encode(), delivery.body, "sha256") for key in self.keys(secrets)]
        _require(proven=_is_any(given, expected), name=name)

    def greeted(self, delivery: Delivery, body: Mapping[str, object]) -> dict[str, object] | None:  # noqa: ARG002
        return {"success": True} if delivery.header("X-GitHub-Event") == "ping" else None


class Stripe(BySecret):
    """Stripe: a signature of the time and the body."""

    kind: Literal["stripe"] = "stripe"
    tolerance: int = _TOLERANCE

    @property
    def evidence(self) -> tuple[str, ...]:
        return ("stripe-signature",)

    @property
    def id_path(self) -> RecordPath:
        return RecordPath.parse("id")

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        name = "Stripe-Signature"
        pairs = [item.strip().partition("=") for item in _required(delivery, name).split(",")]
        times = [value for key, _, value in pairs if key == "t"]
        if len(times) != 1:
            raise Unverified("timestamp", f"{name} needs one time `t=`.")
        signed = times[0].encode("latin-1") + b"." + delivery.body
        expected = [digest(key.encode(), signed, "sha256") for key in self.keys(secrets)]
        _require(proven=_is_any([_from_hex(value) for key, _, value in pairs if key == "v1"], expected), name=name)
        _require_time(delivery, times[0], self.tolerance)


class Slack(BySecret):
    """Slack: a signature of the time and the body. Its `url_verification` is answered."""

    kind: Literal["slack"] = "slack"
    tolerance: int = _TOLERANCE

    @property
    def evidence(self) -> tuple[str, ...]:
        return ("x-slack-signature", "x-slack-request-timestamp")

    @property
    def id_path(self) -> RecordPath:
        return RecordPath.parse("event_id")

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        name = "X-Slack-Signature"
        version, _, sent = _required(delivery, name).partition("=")
        time = _required(delivery, "X-Slack-Request-Timestamp", "timestamp")
        signed = b"v0:" + time.encode("latin-1") + b":" + delivery.body
        expected = [digest(key.encode(), signed, "sha256") for key in self.keys(secrets)]
        _require(proven=_is_any([_from_hex(sent)] if version == "v0" else [], expected), name=name)
        _require_time(delivery, time, self.tolerance)

    def greeted(self, delivery: Delivery, body: Mapping[str, object]) -> dict[str, object] | None:  # noqa: ARG002
        return {"challenge": body.get("challenge")} if body.get("type") == "url_verification" else None


class SignedByHmac(BySecret):
    """An HMAC signature (RFC 2104) in any header."""

    kind: Literal["hmac"] = "hmac"
    header: str = Field(pattern=HEADER_NAME, description="The header with the signature.")
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = Field("sha256", description="The hash function.")
    encoding: Literal["hex", "base64"] = Field("hex", description="Encoding of the signature.")
    prefix: str = Field("", description="Text before the signature in its header, such as sha256=.")
    signed: str = Field(
        "{body}", description="The signed text: {body} exactly once, optionally with {timestamp} and {id}."
    )
    timestamp_header: str | None = Field(
        None, pattern=HEADER_NAME, description="The header of {timestamp}, which is in seconds since 1970."
    )
    id_header: str | None = Field(None, pattern=HEADER_NAME, description="The header of {id}, the delivery's id.")
    tolerance: int = _TOLERANCE

    @model_validator(mode="after")
    def _signs_the_body(self) -> Self:
        names = _SIGNED_NAME.findall(self.signed)
        if unknown := [name for name in names if name not in {"body", "timestamp", "id"}]:
            raise refused(f"there is no {{{unknown[0]}}}; allowed are {{body}}, {{timestamp}} and {{id}}", ("signed",))
        if names.count("body") != 1:
            raise refused("a signature that does not cover {body} once proves nothing", ("signed",))
        for name, header in (("timestamp", self.timestamp_header), ("id", self.id_header)):
            if name in names and header is None:
                raise refused(f"{{{name}}} is signed: {name}_header says where it comes from", ("signed",))
        # guard: a time that is not signed proves nothing
        if self.timestamp_header and "timestamp" not in names:
            raise refused("the time is not signed, so it proves nothing: write {timestamp} into `signed`", ("signed",))
        return self

    @property
    def evidence(self) -> tuple[str, ...]:
        return tuple(name.lower() for name in (self.header, self.timestamp_header, self.id_header) if name)

    @property
    def id_headers(self) -> tuple[str, ...]:
        return (self.id_header.lower(),) if self.id_header else ()

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        sent = _required(delivery, self.header)
        names = {name: _required(delivery, header, name) for name, header in self.headers.items()}
        signed = self.covered(names, delivery.body)
        given = [_ENCODINGS[self.encoding](sent.removeprefix(self.prefix))] if sent.startswith(self.prefix) else []
        expected = [digest(key.encode(), signed, self.algorithm) for key in self.keys(secrets)]
        _require(proven=_is_any(given, expected), name=self.header)
        if self.timestamp_header:
            _require_time(delivery, names["timestamp"], self.tolerance)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the signed values other than the body, by their names in `signed`."""
        named = {"timestamp": self.timestamp_header, "id": self.id_header}
        return {name: header for name, header in named.items() if header}

    def covered(self, names: Mapping[str, str], body: bytes) -> bytes:
        """The bytes that are signed."""
        pieces = {name: text.encode("latin-1") for name, text in names.items()} | {"body": body}
        # A split by a pattern with a group gives texts and names in turn.
        texts = enumerate(_SIGNED_NAME.split(self.signed))
        return b"".join(pieces[text] if index % 2 else text.encode() for index, text in texts)


class BearerKey(BySecret):
    """A bearer token in the Authorization header."""

    kind: Literal["bearer"] = "bearer"

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        match = _BEARER.fullmatch(_required(delivery, "Authorization", "key"))
        given = [_hashed(match[1].encode("latin-1"))] if match else []
        expected = [_hashed(key.encode()) for key in self.keys(secrets)]
        _require_key(proven=_is_any(given, expected), where="The token in Authorization")


class HeaderSecret(BySecret):
    """A secret in any header."""

    kind: Literal["header"] = "header"
    name: str = Field(pattern=HEADER_NAME, description="Name of the header.")

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        given = [_hashed(_required(delivery, self.name, "key").encode("latin-1"))]
        expected = [_hashed(key.encode()) for key in self.keys(secrets)]
        _require_key(proven=_is_any(given, expected), where=f"The header {self.name}")


class BasicPassword(BySecret):
    """User name and password (RFC 7617); `secret` is the password."""

    kind: Literal["basic"] = "basic"
    user: Secret = Field(description="The user name.")

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        match = _BASIC.fullmatch(_required(delivery, "Authorization", "key"))
        given = [_hashed(_from_base64(match[1]))] if match else []
        pairs = [f"{secrets[self.user.env]}:{key}".encode() for key in self.keys(secrets)]
        _require_key(proven=_is_any(given, map(_hashed, pairs)), where="The pair in Authorization")


class UrlSecret(BySecret):
    """A secret in the URL, as its last segment or as the parameter `key`, for senders that support nothing else."""

    kind: Literal["url_secret"] = "url_secret"

    @property
    def in_url(self) -> bool:
        return True

    def check(self, secrets: Secrets) -> None:
        super().check(secrets)
        for key in self.keys(secrets):
            if not _URL_KEY.fullmatch(key):
                raise ConfigurationError(
                    f"the secret in {self.secret.env} or its `old` one cannot be in a URL.",
                    remedy="Use 8 to 200 letters, digits and - . _ ~, such as 32 random letters.",
                )

    def verify(self, delivery: Delivery, secrets: Secrets) -> None:
        # guard: one key in a URL
        if len(delivery.url_keys) != 1:
            raise Unverified("key", "The URL needs the shared secret once: as its last segment, or as `?key=`.")
        given = [_hashed(delivery.url_keys[0].encode(errors="surrogateescape"))]
        expected = [_hashed(key.encode()) for key in self.keys(secrets)]
        _require_key(proven=_is_any(given, expected), where="The key in the URL")


def _hashed(text: bytes) -> bytes:
    """A digest, so that the time of a comparison does not depend on the length of a secret."""
    return sha256(text).digest()


AnyVerification = Annotated[
    Standard | GitHub | Stripe | Slack | SignedByHmac | BearerKey | HeaderSecret | BasicPassword | UrlSecret | Nobody,
    Field(discriminator="kind"),
]
