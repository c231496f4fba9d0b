"""Messages as Amazon SNS sends them, signed by a certificate of the tests' own, and the addresses where it would be."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from flows_platform.webhooks.delivery import ProofUnavailable
from tests.webhooks.deliveries import NOW

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alerts"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123456789abcdef.pem"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
# As in the documentation of SNS: "Verifying the signatures of Amazon SNS messages".
OF_NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
OF_SUBSCRIPTION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]


def certified(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, start: datetime, days: int) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=days))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass
class FakeSns:
    """Signs messages, and answers at the addresses that a receiver may ask. `asked` are the URLs that were."""

    key: rsa.RSAPrivateKey
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    @classmethod
    def new(cls) -> "FakeSns":
        key = rsa.generate_private_key(65537, 2048)
        return cls(key, {CERTIFICATE: certified(key, NOW - timedelta(days=1), 3650), SUBSCRIBE: b"<Confirmed/>"})

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.away or url not in self.pages:
            raise ProofUnavailable("SNS cannot be reached: ConnectTimeout")
        return self.pages[url]

    def message(
        self, text: str, *, version: str = "2", signed_by: Mapping[str, str] | None = None, **fields: str
    ) -> bytes:
        """A notification; `fields` replace its own, before it is signed, and those of `signed_by` after."""
        return self._message(OF_NOTIFICATION, {"Type": "Notification", "Message": text} | fields, version, signed_by)

    def question(self, kind: str = "SubscriptionConfirmation", **fields: str) -> bytes:
        """Whether to subscribe, or the news that a subscription ended."""
        own = {
            "Type": kind,
            "Message": "You have chosen to subscribe.",
            "Token": "2336412f37",
            "SubscribeURL": SUBSCRIBE,
        }
        return self._message(OF_SUBSCRIPTION, own | fields, "2", None)

    def _message(
        self, names: list[str], fields: dict[str, str], version: str, after: Mapping[str, str] | None
    ) -> bytes:
        found = {
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Timestamp": "2026-03-01T11:59:59.123Z",
            "SigningCertURL": CERTIFICATE,
            "SignatureVersion": version,
        } | fields
        signed = "".join(f"{name}\n{found[name]}\n" for name in names if name in found).encode()
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303  as SNS does
        found["Signature"] = b64encode(self.key.sign(signed, PKCS1v15(), algorithm)).decode()
        return json.dumps(found | dict(after or {})).encode()
