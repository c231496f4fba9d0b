"""Signs a delivery as its sender would, for trying out a receiver."""

import secrets as random
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from hmac import digest

from flows_platform.declared import Secrets
from flows_platform.webhooks.declaration import Webhook
from flows_platform.webhooks.signatures import (
    STANDARD_KEY,
    AnyVerification,
    BasicPassword,
    BearerKey,
    GitHub,
    HeaderSecret,
    Nobody,
    SignedByHmac,
    Slack,
    Standard,
    Stripe,
    UrlSecret,
    standard_key,
)

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signed:
    """The proof of a request's sender: headers, and a key that is the last segment of the URL."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    url_key: str = field(default="", repr=False)


def signed(webhook: Webhook, body: bytes, secrets: Secrets, delivery_id: str, now: datetime) -> Signed:
    """The proof for a body, with the delivery's id if a header has it."""
    proof = _proof(webhook.verify, body, secrets, delivery_id, str(int(now.timestamp())))
    if webhook.delivery and webhook.delivery.header:
        return Signed({webhook.delivery.header: delivery_id, **proof.headers}, proof.url_key)
    return proof


def new_secret(kind: str) -> str:
    """A new secret for a kind of `verify`: 256 random bits, in the form that the kind needs."""
    if kind == "standard":
        return STANDARD_KEY + b64encode(random.token_bytes(SECRET_BYTES)).decode()
    return random.token_hex(SECRET_BYTES)


def _proof(verify: AnyVerification, body: bytes, secrets: Secrets, delivery_id: str, time: str) -> Signed:  # noqa: C901, PLR0911 - one case a kind
    if isinstance(verify, Nobody):
        return Signed()
    key = secrets[verify.secret.env]
    match verify:
        case Standard():
            return _standard(key, body, delivery_id, time)
        case GitHub():
            hexed = _hex(key, body)
            return Signed({"X-Hub-Signature-256": f"sha256={hexed}", "X-GitHub-Delivery": delivery_id})
        case Stripe():
            return Signed({"Stripe-Signature": f"t={time},v1={_hex(key, _timed(time, body))}"})
        case Slack():
            signature = _hex(key, b"v0:" + time.encode() + b":" + body)
            return Signed({"X-Slack-Signature": f"v0={signature}", "X-Slack-Request-Timestamp": time})
        case SignedByHmac():
            return _by_hmac(verify, key, body, {"timestamp": time, "id": delivery_id})
        case BearerKey():
            return Signed({"Authorization": f"Bearer {key}"})
        case HeaderSecret():
            return Signed({verify.name: key})
        case BasicPassword():
            pair = b64encode(f"{secrets[verify.user.env]}:{key}".encode()).decode()
            return Signed({"Authorization": f"Basic {pair}"})
        case UrlSecret():
            return Signed(url_key=key)


def _standard(key: str, body: bytes, delivery_id: str, time: str) -> Signed:
    covered = delivery_id.encode() + b"." + _timed(time, body)
    signature = b64encode(digest(standard_key(key), covered, "sha256")).decode()
    return Signed({"webhook-id": delivery_id, "webhook-timestamp": time, "webhook-signature": f"v1,{signature}"})


def _by_hmac(verify: SignedByHmac, key: str, body: bytes, values: dict[str, str]) -> Signed:
    names = {name: values[name] for name in verify.headers}
    made = digest(key.encode(), verify.covered(names, body), verify.algorithm)
    text = made.hex() if verify.encoding == "hex" else b64encode(made).decode()
    sent = {header: values[name] for name, header in verify.headers.items()}
    return Signed({**sent, verify.header: f"{verify.prefix}{text}"})


def _timed(time: str, body: bytes) -> bytes:
    return time.encode() + b"." + body


def _hex(key: str, covered: bytes) -> str:
    return digest(key.encode(), covered, "sha256").hex()
