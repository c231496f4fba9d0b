"""Deliveries for tests, and the senders' own way to sign them, written from their documentation."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import new

from flows_platform.webhooks.delivery import Delivery

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def delivery(body: bytes = b"{}", headers: Mapping[str, str] | None = None, *url_keys: str) -> Delivery:
    return Delivery(body, {name.lower(): (text,) for name, text in (headers or {}).items()}, NOW, url_keys)


def hmac_hex(key: str, signed: bytes, algorithm: str = "sha256") -> str:
    return new(key.encode(), signed, algorithm).hexdigest()


def standard(
    secret: str, body: bytes, message: str = "msg_1", time: int = SECONDS, family: str = "webhook"
) -> dict[str, str]:
    key = b64decode(secret.removeprefix("whsec_"))
    signature = b64encode(new(key, f"{message}.{time}.".encode() + body, sha256).digest()).decode()
    return {f"{family}-id": message, f"{family}-timestamp": str(time), f"{family}-signature": f"v1,{signature}"}


def github(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac_hex(secret, body)}", "X-GitHub-Delivery": "72d3162e-cc78-11e3"}


def stripe(secret: str, body: bytes, time: int = SECONDS) -> dict[str, str]:
    return {"Stripe-Signature": f"t={time},v1={hmac_hex(secret, f'{time}.'.encode() + body)},v0=00"}


def slack(secret: str, body: bytes, time: int = SECONDS) -> dict[str, str]:
    signature = hmac_hex(secret, f"v0:{time}:".encode() + body)
    return {"X-Slack-Signature": f"v0={signature}", "X-Slack-Request-Timestamp": str(time)}
