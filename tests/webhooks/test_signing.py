"""What we sign as a sender, the receiver's own check and the senders' libraries accept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook as StandardWebhook

from flows_platform.webhooks.signing import Signed, new_secret, signed

from .declared import declared
from .deliveries import NOW, delivery

BODY = b'{"alerts": [{"id": "5a3c", "created_at": 1700000000123}]}'
KINDS: dict[str, dict[str, Any]] = {
    "standard": {},
    "github": {},
    "stripe": {},
    "slack": {},
    "hmac": {
        "header": "X-Sign",
        "signed": "{id}.{timestamp}.{body}",
        "timestamp_header": "X-Time",
        "id_header": "X-Id",
        "encoding": "base64",
        "prefix": "v1=",
    },
    "bearer": {},
    "header": {"name": "X-Key"},
    "basic": {"user": {"env": "HOOK_USER"}},
    "url_secret": {},
}


def made(kind: str, secrets: dict[str, str], now: datetime = NOW, **keys: Any) -> tuple[Any, Signed]:
    verify = {"kind": kind, "secret": {"env": "HOOK_KEY"}} | KINDS[kind] if kind != "none" else {"kind": "none"}
    webhook = declared(verify=verify, **keys).webhook
    return webhook, signed(webhook, BODY, secrets, "msg_1", now)


@pytest.mark.parametrize("kind", KINDS)
def test_the_receiver_accepts_what_is_signed(kind: str) -> None:
    secrets = {"HOOK_KEY": new_secret(kind), "HOOK_USER": "vendor"}
    webhook, proof = made(kind, secrets)
    webhook.verify.check(secrets)
    keys = [proof.url_key] if proof.url_key else []
    webhook.verify.verify(delivery(BODY, proof.headers, *keys), secrets)
    assert secrets["HOOK_KEY"] not in repr(proof)


def test_the_library_of_standard_webhooks_accepts_it() -> None:
    secret = new_secret("standard")
    assert secret.startswith("whsec_")
    _, proof = made("standard", {"HOOK_KEY": secret}, datetime.now(UTC))
    assert StandardWebhook(secret).verify(BODY, proof.headers) == {
        "alerts": [{"id": "5a3c", "created_at": 1700000000123}]
    }


def test_nothing_is_signed_where_nothing_is_proven() -> None:
    assert made("none", {})[1] == Signed()


def test_a_declared_header_has_the_deliverys_id() -> None:
    _, proof = made("bearer", {"HOOK_KEY": "a-key"}, delivery={"header": "X-Delivery"})
    assert proof.headers == {"X-Delivery": "msg_1", "Authorization": "Bearer a-key"}


def test_secrets_differ() -> None:
    assert len({new_secret("github") for _ in range(10)}) == 10
