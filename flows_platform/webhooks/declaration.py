"""The keys of a webhook's YAML: where it is received, who may send, and how its records are found."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.time_forms import TimeForm
from flows_platform.columns.written import TimeWritten
from flows_platform.declared import Declared, Secrets, refused
from flows_platform.webhooks.signatures import HEADER_NAME, AnyVerification

HOOKS = "/api/v1/hooks"
# The folders of an archive. A source's own folder must not begin with one of these names.
WEBHOOKS, DETAILS, DELIVERIES = "webhooks", "alerts", "deliveries"
TOPIC = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
# Kinds of `verify` that SNS can satisfy: a subscription is a URL, possibly with a password.
WITH_SNS = {"none", "url_secret", "basic"}
URL_PATH = r"^(/[A-Za-z0-9._~-]+)+$"
FOLDER = r"^([A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*)?$"
# The server's own paths.
RESERVED = re.compile(r"/(healthz|openapi\.json)?\Z")
LARGEST_BODY = 16 << 20


def _network(given: object) -> object:
    """An address or a network. `192.0.2.1/24` is refused, since its last byte would be ignored."""
    if isinstance(given, IPv4Network | IPv6Network):
        return given
    for kind in (IPv4Network, IPv6Network):
        try:
            return kind(str(given))
        except ValueError:
            continue
    raise refused("an address or a network is needed, such as 192.0.2.7 or 192.0.2.0/24")


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), PlainSerializer(str)]
UrlPath = Annotated[str, Field(pattern=URL_PATH, max_length=200)]


class CreatedAt(Declared):
    """Where a record has its creation time."""

    path: RecordPath = Field(description="Path of the time in the record.")
    written: TimeWritten = Field(
        TimeForm.ISO,
        description="How the sender writes the time, as for a column. A number may also be a string of digits.",
    )


class DeliveryId(Declared):
    """Where a delivery has its id."""

    header: str | None = Field(None, pattern=HEADER_NAME, description="Name of the header.")
    path: RecordPath | None = Field(None, description="Path in the body.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.header is None) == (self.path is None):
            raise refused("write `header`, or `path`")
        return self


class Webhook(Declared):
    """A webhook: where it is received, who may send, and what it delivers."""

    path: UrlPath | None = Field(None, description=f"Path of the URL; by default {HOOKS}/NAME.")
    aliases: list[UrlPath] = Field([], description="Further paths at which the webhook is received.")
    verify: AnyVerification = Field(description="How a delivery proves who sent it.")
    senders: list[Network] = Field(
        [], description="Addresses or networks that may send; by default, any that pass `verify`."
    )
    unwrap: Literal["sns"] | None = Field(
        None,
        description="`sns` if all deliveries come through Amazon SNS. Its signature is verified besides `verify`, and "
        "its subscriptions are confirmed.",
    )
    topics: list[Annotated[str, Field(pattern=TOPIC)]] = Field(
        [], description="ARNs of the SNS topics that may deliver; required with `unwrap: sns`."
    )
    delivery: DeliveryId | None = Field(
        None,
        description="Where a delivery has its id: {header: NAME} or {path: PATH}. Not needed for kinds of `verify` "
        "that define an id; without an id, deliveries with equal bodies count as one.",
    )
    records: RecordPath | None = Field(
        None, description="Path of the array of records in the body; without it, the body is one record."
    )
    id: RecordPath | None = Field(
        None, description="Path of the id in a record; without `id` and `records`, the delivery's id is the record's."
    )
    created_at: CreatedAt = Field(description="Where a record has its creation time: {path: PATH, written: FORM}.")
    answer: Literal[200, 202, 204] = Field(200, description="Status of the answer that the sender takes for success.")
    limit_bytes: int = Field(1 << 20, ge=1024, le=LARGEST_BODY, description="Largest body, in bytes.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.records and any(step.chooses for step in self.records.steps):
            raise refused("the path of the array has names alone", ("records",))
        if self.id is None and self.records:
            raise refused("the records of one delivery need an id each", ("records",))
        if self.id is None and not self.has_delivery_id:
            raise refused("an id is needed: write `id`, or `delivery` where the sender gives every delivery one")
        if bool(self.topics) != (self.unwrap is not None):
            raise refused("`unwrap: sns` and the `topics` that may deliver need each other", ("topics",))
        if self.unwrap and self.verify.kind not in WITH_SNS:
            allowed = ", ".join(sorted(WITH_SNS))
            raise refused(f"SNS sends no header for this kind; with `unwrap: sns`, write {allowed}", ("verify",))
        if kept := [path for path in (self.path, *self.aliases) if path and RESERVED.match(path)]:
            raise refused(f"the server has {kept[0]} for itself", ("path",))
        return self

    @property
    def has_delivery_id(self) -> bool:
        """Whether deliveries have ids."""
        return bool(self.unwrap or self.delivery or self.verify.id_headers or self.verify.id_path)

    @property
    def proves(self) -> bool:
        """Whether deliveries prove who sent them."""
        return self.unwrap is not None or self.verify.proves

    def admits(self, sender: str) -> bool:
        """Whether this address may send deliveries."""
        if not self.senders:
            return True
        try:
            address = ip_address(sender.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        # guard: only declared addresses send
        return any((mapped or address) in network for network in self.senders)


class WebhookDeclaration(Declared):
    """A source that is filled by a webhook."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200, description="The source's name.")
    archive: str | None = Field(
        None,
        pattern=FOLDER,
        description="Folder in the archive; the name by default, and '' for the archive itself.",
    )
    webhook: Webhook = Field(description="The webhook.")

    @model_validator(mode="after")
    def _has_its_own_folder(self) -> Self:
        # guard: a source's folder is not one of the layout
        if self.folder.partition("/")[0] in {WEBHOOKS, DETAILS, DELIVERIES}:
            at = ("name",) if self.archive is None else ("archive",)
            raise refused(f"the archive has folders {WEBHOOKS}, {DETAILS} and {DELIVERIES} of its own", at)
        return self

    @property
    def folder(self) -> str:
        """The source's folder in the archive; empty for the archive itself."""
        return self.name if self.archive is None else self.archive

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths at which it is received."""
        return (self.webhook.path or f"{HOOKS}/{self.name}", *self.webhook.aliases)

    def secrets(self, environment: Callable[[str], str | None]) -> Secrets:
        """The secrets that prove the sender, by the names of their variables.

        Raises:
            ConfigurationError: one is not set, or cannot prove anything.
        """
        secrets = {secret.env: secret.value(environment) for secret in self.webhook.verify.secrets}
        self.webhook.verify.check(secrets)
        return secrets
