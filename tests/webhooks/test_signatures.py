"""Every kind of proof accepts what the sender's documentation shows, and nothing else."""

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flows_platform.domain.errors import ConfigurationError
from flows_platform.webhooks.delivery import Delivery, Unverified
from flows_platform.webhooks.signatures import AnyVerification, Verification

from .deliveries import NOW, SECONDS, delivery, github, hmac_hex, slack, standard, stripe

SECRET, OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SECRETS = {"NEW": SECRET, "OLD": OLD, "USER": "vendor"}
BODY = b'{"alerts": [{"id": "5a3c", "created_at": 1459447024000}]}'
ADAPTER: TypeAdapter[Verification] = TypeAdapter(AnyVerification)


def kind(name: str, /, **keys: Any) -> Verification:
    own = {} if name == "none" else {"secret": {"env": "NEW"}, "old": {"env": "OLD", "required": False}}
    return ADAPTER.validate_python({"kind": name, **own, **keys})


def refusal(verification: Verification, given: Delivery, secrets: dict[str, str] | None = None) -> Unverified:
    with pytest.raises(Unverified) as caught:
        verification.verify(given, SECRETS if secrets is None else secrets)
    return caught.value


HMAC = {"header": "X-Sig", "prefix": "v=", "signed": "{id}:{timestamp}.{body}", "algorithm": "sha512"}
HMAC_HEADERS = {"timestamp_header": "X-Time", "id_header": "X-Id"}


def hmac_signed(secret: str, body: bytes, time: int = SECONDS) -> dict[str, str]:
    signature = hmac_hex(secret, f"d1:{time}.".encode() + body, "sha512")
    return {"X-Sig": f"v={signature}", "X-Time": str(time), "X-Id": "d1"}


def basic(secret: str, _: bytes) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'vendor:{secret}'.encode()).decode()}"}


SIGNED: list[tuple[Verification, Callable[..., dict[str, str]]]] = [
    (kind("standard"), standard),
    (kind("standard"), lambda secret, body, time=SECONDS: standard(secret, body, "msg_2", time, "svix")),
    (kind("github"), github),
    (kind("stripe"), stripe),
    (kind("slack"), slack),
    (kind("hmac", **HMAC, **HMAC_HEADERS), hmac_signed),
]
TIMED = [case for case in SIGNED if case[0] != kind("github")]
KEYS: list[tuple[Verification, Callable[..., dict[str, str]]]] = [
    (kind("bearer"), lambda secret, _: {"Authorization": f"bearer {secret}"}),
    (kind("header", name="X-Key"), lambda secret, _: {"x-key": secret}),
    (kind("basic", user={"env": "USER"}), basic),
]


@pytest.mark.parametrize(("verification", "sign"), SIGNED + KEYS)
@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_both_secrets_prove_the_sender(
    verification: Verification, sign: Callable[..., dict[str, str]], secret: str
) -> None:
    verification.verify(delivery(BODY, sign(secret, BODY)), SECRETS)


@pytest.mark.parametrize(("verification", "sign"), SIGNED + KEYS)
def test_another_secret_or_nothing_proves_nothing(
    verification: Verification, sign: Callable[..., dict[str, str]]
) -> None:
    other = b64encode(b"another secret of the same length").decode()
    assert refusal(verification, delivery(BODY, sign(other, BODY))).what in {"signature", "key"}
    assert "missing" in str(refusal(verification, delivery(BODY)))
    unset = {**SECRETS, "OLD": ""}
    assert refusal(verification, delivery(BODY, sign(OLD, BODY)), unset)
    empty = {name: "" if name == "OLD" else text for name, text in SECRETS.items()}
    assert refusal(verification, delivery(BODY, sign("", BODY)), empty)


@pytest.mark.parametrize(("verification", "sign"), SIGNED)
@given(body=st.binary(max_size=60), changed=st.binary(max_size=60))
def test_a_signature_is_that_of_its_body_alone(
    verification: Verification, sign: Callable[..., dict[str, str]], body: bytes, changed: bytes
) -> None:
    headers = sign(SECRET, body)
    verification.verify(delivery(body, headers), SECRETS)
    if body != changed:
        assert refusal(verification, delivery(changed, headers)).what == "signature"


@pytest.mark.parametrize(("verification", "sign"), SIGNED)
@given(text=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80))
def test_no_text_of_a_header_breaks_a_kind(
    verification: Verification, sign: Callable[..., dict[str, str]], text: str
) -> None:
    for name in sign(SECRET, BODY):
        signed = delivery(BODY, sign(SECRET, BODY) | {name: text})
        with suppress(Unverified):
            verification.verify(signed, SECRETS)


def test_the_id_that_counts_is_signed() -> None:
    signed = standard(SECRET, BODY, "msg_2", family="svix")
    kind("standard").verify(delivery(BODY, signed | standard(SECRET, BODY)), SECRETS)
    found = refusal(kind("standard"), delivery(BODY, signed | {"webhook-id": "msg_3"}))
    assert str(found) == "The header webhook-signature is missing."


@pytest.mark.parametrize(("verification", "sign"), TIMED)
@pytest.mark.parametrize(("seconds", "why"), [(-301, "older than 300"), (301, "further ahead than 300"), (-300, "")])
def test_a_signed_time_is_now(
    verification: Verification, sign: Callable[..., dict[str, str]], seconds: int, why: str
) -> None:
    signed = delivery(BODY, sign(SECRET, BODY, time=SECONDS + seconds))
    if why:
        found = refusal(verification, signed)
        assert found.what == "timestamp"
        assert why in str(found)
    else:
        verification.verify(signed, SECRETS)


@pytest.mark.parametrize("text", ["", "soon", "1e9", "+1", " 1", "-1", "\uff11", "9" * 13])
def test_a_time_is_digits(text: str) -> None:
    signed = hmac_hex(SECRET, f"{text}.".encode() + BODY)
    found = refusal(
        kind("stripe"), delivery(BODY, {"Stripe-Signature": f"t={text.encode().decode('latin-1')},v1={signed}"})
    )
    assert found.what == "timestamp"


@pytest.mark.parametrize(("verification", "sign"), SIGNED + KEYS)
def test_a_header_that_comes_twice_proves_nothing(
    verification: Verification, sign: Callable[..., dict[str, str]]
) -> None:
    signed = delivery(BODY, sign(SECRET, BODY))
    twice = replace(signed, headers={name: values * 2 for name, values in signed.headers.items()})
    assert "came 2 times" in str(refusal(verification, twice))


def test_vectors_of_the_senders() -> None:
    """From the documentation of Standard Webhooks' libraries, GitHub and Slack."""
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    sent = replace(delivery(body, headers), received=datetime.fromtimestamp(1614265330, UTC))
    kind("standard").verify(sent, SECRETS)
    several = {**headers, "webhook-signature": f"v1,AAAA v1a,AAAA {headers['webhook-signature']}"}
    kind("standard").verify(replace(delivery(body, several), received=sent.received), SECRETS)

    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    of_github = delivery(b"Hello, World!", {"X-Hub-Signature-256": signature})
    kind("github").verify(of_github, {"NEW": "It's a Secret to Everybody", "OLD": ""})

    form = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    of_slack = delivery(
        form,
        {
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "X-Slack-Request-Timestamp": "1531420618",
        },
    )
    received = datetime.fromtimestamp(1531420618, UTC) + timedelta(minutes=4)
    kind("slack").verify(replace(of_slack, received=received), {"NEW": "8f742231b10e8888abcd99yyyzzz85a5", "OLD": ""})


def test_the_library_of_standard_webhooks_agrees() -> None:
    library = pytest.importorskip("standardwebhooks")
    now = datetime.now(UTC)
    signature = library.Webhook(SECRET).sign("msg_3", now, BODY.decode())
    headers = {"webhook-id": "msg_3", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    kind("standard").verify(replace(delivery(BODY, headers), received=now), SECRETS)
    ours = standard(SECRET, BODY, time=int(now.timestamp()))
    assert library.Webhook(SECRET).verify(BODY.decode(), ours)


def test_an_id_does_not_reach_into_the_time() -> None:
    headers = standard(SECRET, b'2.{"a": 1}', "msg", SECONDS)
    moved = headers | {"webhook-id": f"msg.{SECONDS}", "webhook-timestamp": "2"}
    assert "has a dot" in str(refusal(kind("standard"), delivery(b'{"a": 1}', moved)))


def test_a_key_in_the_url_comes_once() -> None:
    verification, secrets = kind("url_secret"), {"NEW": "a-long.secret_1", "OLD": "the-old.secret~2"}
    for key in secrets.values():
        verification.verify(delivery(BODY, None, key), secrets)
    for keys in [(), ("another-secret",), ("",), ("a-long.secret_1", "a-long.secret_1"), ("ü" * 9,), ("\udcff",)]:
        assert refusal(verification, delivery(BODY, None, *keys), secrets).what == "key"
    assert "a-long" not in repr(delivery(BODY, None, "a-long.secret_1"))


def test_signatures_that_are_not_compared() -> None:
    sha1 = {"X-Hub-Signature-256": f"sha1={hmac_hex(SECRET, BODY, 'sha1')}"}
    assert refusal(kind("github"), delivery(BODY, sha1)).what == "signature"
    right = hmac_hex(SECRET, BODY)
    for text in (f"sha256= {right}", f"sha256={right[:-2]}", f"sha256={right}00", "sha256=", f"{right}"):
        assert refusal(kind("github"), delivery(BODY, {"X-Hub-Signature-256": text})).what == "signature"
    kind("github").verify(delivery(BODY, {"X-Hub-Signature-256": f"sha256={right.upper()}"}), SECRETS)
    v1a = {name: text.replace("v1,", "v1a,") for name, text in standard(SECRET, BODY).items()}
    assert refusal(kind("standard"), delivery(BODY, v1a)).what == "signature"
    twice = stripe(SECRET, BODY)["Stripe-Signature"].replace(",v1", f",t={SECONDS},v1")
    assert refusal(kind("stripe"), delivery(BODY, {"Stripe-Signature": twice})).what == "timestamp"


def test_secrets_that_prove_nothing_are_refused() -> None:
    for verification, _ in SIGNED + KEYS:
        with pytest.raises(ConfigurationError, match="variable NEW is empty"):
            verification.check({**SECRETS, "NEW": ""})
    with pytest.raises(ConfigurationError, match="in NEW is not one of Standard Webhooks"):
        kind("standard").check({"NEW": "whsec_not base64", "OLD": ""})
    with pytest.raises(ConfigurationError, match="cannot be in a URL"):
        kind("url_secret").check({"NEW": "a/b/c/d/e/f", "OLD": ""})
    kind("standard").check(SECRETS)
    kind("none").check({})
    kind("none").verify(delivery(BODY), {})
    assert not kind("none").proves
    assert kind("standard").secrets[0].env == "NEW"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"signed": "{timestamp}"}, "does not cover {body} once"),
        ({"signed": "{body}{body}"}, "does not cover {body} once"),
        ({"signed": "{body}{path}"}, "there is no {path}"),
        ({"signed": "{timestamp}.{body}"}, "timestamp_header says where"),
        ({"timestamp_header": "X-Time"}, "the time is not signed"),
    ],
)
def test_a_signature_covers_what_it_proves(keys: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        kind("hmac", header="X-Sig", **keys)
    assert why in str(caught.value)


def test_evidence_has_no_secret() -> None:
    for verification, sign in KEYS:
        assert not {name.lower() for name in sign(SECRET, BODY)} & set(verification.evidence)
    for verification, sign in SIGNED:
        assert {name.lower() for name in sign(SECRET, BODY)} <= set(verification.evidence)
    assert NOW.tzinfo is UTC
