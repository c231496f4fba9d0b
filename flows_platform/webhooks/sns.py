"""Deliveries that come through Amazon SNS: its envelope, its signature, and its question whether to subscribe.

The topic is declared, and says where the certificate and the confirmation are: nothing is fetched from elsewhere.
"""

import logging
import re
from base64 import b64decode
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from time import monotonic

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from flows_platform.webhooks.delivery import Delivery, Fetch, ProofUnavailable, Unverified
from flows_platform.webhooks.records import BadDelivery, json_object

NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
_OF_SUBSCRIPTIONS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
# What a signature covers, in its order.
SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIBE: _OF_SUBSCRIPTIONS,
    UNSUBSCRIBE: _OF_SUBSCRIPTIONS,
}
OPTIONAL = {"Subject"}
HASHES = {"1": SHA1, "2": SHA256}  # by SignatureVersion; SNS offers these two alone
CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
MOST_CERTIFICATES = 8
# A stranger's envelope may name any certificate of SNS, so fetches are few.
MOST_FETCHES = 10
FETCH_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of SNS whose signature is checked."""

    kind: str
    fields: dict[str, str]

    @property
    def is_notification(self) -> bool:
        """Whether it holds a delivery."""
        return self.kind == NOTIFICATION

    def opened(self, delivery: Delivery) -> Delivery:
        """What is in the envelope, as if its sender had delivered it directly."""
        return replace(delivery, body=self.fields["Message"].encode(), headers={}, id=self.fields["MessageId"])


class Sns:
    """Checks what SNS delivers.

    Args:
        topics: ARNs of the topics that may deliver.
        fetch: Reads a URL of SNS; it raises ProofUnavailable.
    """

    def __init__(self, topics: Sequence[str], fetch: Fetch) -> None:
        self._topics, self._fetch = frozenset(topics), fetch
        self._certificates: dict[str, x509.Certificate] = {}
        self._fetched: deque[float] = deque(maxlen=MOST_FETCHES)
        self._lock = Lock()

    def verified(self, delivery: Delivery) -> Message:
        """The message of a delivery.

        Raises:
            Unverified: it is not one of a declared topic, signed by SNS.
            ProofUnavailable: the certificate cannot be fetched now.
        """
        message = _message(delivery.body)
        topic = message.fields["TopicArn"]
        # guard: only declared topics deliver
        if topic not in self._topics:
            raise Unverified("key", "The topic in TopicArn may not deliver here.")
        key = self._key(_pinned(message.fields["SigningCertURL"], topic), delivery.received)
        fields = [name for name in SIGNED[message.kind] if name in message.fields]
        signed = "".join(f"{name}\n{message.fields[name]}\n" for name in fields).encode()
        try:
            # guard: a message of SNS is signed
            key.verify(_signature(message), signed, PKCS1v15(), HASHES[message.fields["SignatureVersion"]]())
        except InvalidSignature:
            raise Unverified("signature", "The signature is not that of SNS for this message.") from None
        return message

    def confirm(self, message: Message) -> None:
        """Do what a message that is not a notification asks for: confirm a subscription.

        Raises:
            Unverified: the confirmation is not at the topic's own address.
            ProofUnavailable: SNS does not take it now.
        """
        topic, url = message.fields["TopicArn"], message.fields["SubscribeURL"]
        if message.kind == UNSUBSCRIBE:
            logger.warning("the topic %s ended its subscription: it delivers nothing more", topic)
            return
        # guard: a subscription is confirmed at its topic's own address
        if not url.startswith(f"https://{_host(topic)}/?Action=ConfirmSubscription&"):
            raise Unverified("signature", "SubscribeURL is not an address of the topic's own SNS.")
        self._fetch(url)
        logger.info("the subscription to the topic %s is confirmed", topic)

    def _key(self, url: str, now: datetime) -> RSAPublicKey:
        certificate = self._certificates.get(url) or self._fetched_certificate(url)
        # guard: a certificate of SNS is valid now
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Unverified("signature", "The certificate of SNS is not valid at this time.")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Unverified("signature", "The certificate of SNS has no RSA key.")
        return key

    def _fetched_certificate(self, url: str) -> x509.Certificate:
        with self._lock:
            if found := self._certificates.get(url):
                return found
            now = monotonic()
            # guard: certificates are fetched seldom
            if len(self._fetched) == MOST_FETCHES and now - self._fetched[0] < FETCH_SECONDS:
                raise ProofUnavailable("too many certificates of SNS were asked for in the last minute")
            self._fetched.append(now)
            try:
                certificate = x509.load_pem_x509_certificate(self._fetch(url))
            except ValueError:
                raise Unverified("signature", "SigningCertURL does not lead to a certificate.") from None
            while len(self._certificates) >= MOST_CERTIFICATES:
                del self._certificates[next(iter(self._certificates))]
            self._certificates[url] = certificate
            return certificate


def _message(body: bytes) -> Message:
    try:
        _, value = json_object(body)
    except BadDelivery:
        raise Unverified("signature", "The body is not a message of SNS.") from None
    fields = {name: text for name, text in value.items() if isinstance(text, str)}
    kind = fields.get("Type", "")
    needed = {*SIGNED.get(kind, ()), "SigningCertURL", "SignatureVersion", "Signature"} - OPTIONAL
    if kind not in SIGNED or not needed <= fields.keys() or fields["SignatureVersion"] not in HASHES:
        raise Unverified(
            "signature",
            "The body is not a signed message of SNS. If it is a raw message, turn raw delivery off for this "
            "subscription: raw messages have no signature.",
        )
    return Message(kind, fields)


def _signature(message: Message) -> bytes:
    try:
        return b64decode(message.fields["Signature"].encode("ascii"), validate=True)
    except ValueError:
        return b""


def _host(topic: str) -> str:
    """Where SNS is that has the topic: `arn:PARTITION:sns:REGION:…`."""
    _, partition, _, region, *_ = topic.split(":")
    return f"sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


def _pinned(url: str, topic: str) -> str:
    """The URL of a certificate, which is at the topic's own SNS."""
    base = f"https://{_host(topic)}"
    # guard: a certificate comes from the topic's own address
    if not url.startswith(base) or not CERTIFICATE.fullmatch(url.removeprefix(base)):
        raise Unverified("signature", "SigningCertURL is not an address of the topic's own SNS.")
    return url
