"""Deliveries through Amazon SNS: its envelope, its signature, and the confirmation of its subscriptions.

Topics are declared, and a topic's region determines the host of certificates and confirmations. No other host is asked.
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

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from flows_platform.webhooks.delivery import Delivery, Fetch, ProofUnavailable, Unverified
from flows_platform.webhooks.parsing import BadDelivery, object_in, one_body

NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
_OF_SUBSCRIPTIONS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
# The signed fields of every type of message, in the order in which they are signed.
SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIBE: _OF_SUBSCRIPTIONS,
    UNSUBSCRIBE: _OF_SUBSCRIPTIONS,
}
OPTIONAL = {"Subject"}
HASHES = {"1": SHA1, "2": SHA256}  # by SignatureVersion; SNS has only these two
CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
MOST_CERTIFICATES = 8
# Anyone may send an envelope that names another certificate, so the number of fetches is limited.
MOST_FETCHES = 10
FETCH_SECONDS = 60.0
TIMES = (3, 10)  # seconds to connect, and to wait for bytes
LARGEST = 64 << 10  # bytes of an answer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of SNS whose signature was verified."""

    kind: str
    fields: dict[str, str]

    @property
    def is_notification(self) -> bool:
        """Whether the message contains a delivery."""
        return self.kind == NOTIFICATION

    def opened(self, delivery: Delivery) -> Delivery:
        """The delivery in the envelope, as if its sender had sent it directly."""
        return replace(delivery, body=self.fields["Message"].encode(), headers={}, id=self.fields["MessageId"])


class Sns:
    """Verifies the messages of SNS.

    Args:
        topics: The ARNs of the topics that may deliver.
        fetch: Fetches a URL of SNS; raises ProofUnavailable.
    """

    def __init__(self, topics: Sequence[str], fetch: Fetch) -> None:
        self._topics, self._fetch = frozenset(topics), fetch
        self._certificates: dict[str, x509.Certificate] = {}
        self._fetched: deque[float] = deque(maxlen=MOST_FETCHES)
        self._lock = Lock()

    def verified(self, delivery: Delivery) -> Message:
        """The message in a delivery.

        Raises:
            Unverified: it is not a message of a declared topic that SNS has signed.
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
        """Confirm the subscription that a message asks for; log the end of a subscription.

        Raises:
            Unverified: the URL of the confirmation is not one of the topic's own SNS.
            ProofUnavailable: SNS does not accept the confirmation now.
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
        with one_body():
            fields = {name: text for name, text in object_in(body).items() if isinstance(text, str)}
    except BadDelivery:
        raise Unverified("signature", "The body is not a message of SNS.") from None
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
    """The host of the SNS that has the topic `arn:PARTITION:sns:REGION:…`."""
    _, partition, _, region, *_ = topic.split(":")
    return f"sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


def _pinned(url: str, topic: str) -> str:
    """The URL itself, if it is that of a certificate at the topic's own SNS.

    Raises:
        Unverified: it is another URL.
    """
    base = f"https://{_host(topic)}"
    # guard: a certificate comes from the topic's own address
    if not url.startswith(base) or not CERTIFICATE.fullmatch(url.removeprefix(base)):
        raise Unverified("signature", "SigningCertURL is not an address of the topic's own SNS.")
    return url


def fetch_from_sns(url: str) -> bytes:
    """Fetch a URL of SNS, through the proxies of the environment and without following redirects.

    Raises:
        ProofUnavailable: SNS does not answer with the status 200 and at most 64 KB.
    """
    try:
        with requests.get(url, timeout=TIMES, allow_redirects=False, stream=True) as response:
            body = b""
            for piece in response.iter_content(LARGEST):  # an answer in chunks comes chunk by chunk
                body += piece
                if len(body) > LARGEST:
                    break
            # guard: an answer of SNS is short and final
            if response.status_code != requests.codes.ok or len(body) > LARGEST:
                raise ProofUnavailable(f"SNS answered {response.status_code} with {len(body)} bytes or more")
            return body
    except requests.RequestException as error:
        raise ProofUnavailable(f"SNS cannot be reached: {type(error).__name__}") from error
