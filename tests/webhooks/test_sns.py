"""What comes through Amazon SNS: proven by its signature and its topic, and nothing is fetched from elsewhere."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks import sns as sns_module
from flows_platform.webhooks.archive import Archive, Evidence
from flows_platform.webhooks.delivery import Delivery, ProofUnavailable, Unverified
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.parsing import BadDelivery
from flows_platform.webhooks.receiver import Receipt, Receiver
from flows_platform.webhooks.sns import Sns, fetch_from_sns
from tests.fakes.serving import Answer
from tests.fakes.small_server import SmallServer

from .declared import KEY, declared
from .deliveries import NOW, delivery
from .sns_messages import CERTIFICATE, HOST, SUBSCRIBE, TOPIC, FakeSns, certified

MS = 1_700_000_000_123
RECORD = f'{{"id": "5a3c", "created_at": {MS}}}'
BATCH = f'{{"alerts": [{RECORD}]}}'


@cache
def made() -> FakeSns:
    return FakeSns.new()


@pytest.fixture
def fake() -> FakeSns:
    """A service of its own history; making its key takes long."""
    return replace(made(), pages=dict(made().pages), asked=[])


@pytest.fixture
def sns(fake: FakeSns) -> Sns:
    return Sns([TOPIC], fake.fetch)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "An alert: é"])
def test_a_message_is_proven_and_opened(fake: FakeSns, sns: Sns, version: str, subject: str | None) -> None:
    fields = {} if subject is None else {"Subject": subject}
    for _ in range(2):
        sent = delivery(
            fake.message(BATCH, version=version, signed_by=None, **fields), {"Content-Encoding": "identity"}
        )
        message = sns.verified(sent)
        assert message.is_notification
        assert message.opened(sent) == Delivery(BATCH.encode(), {}, NOW, id="22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324")
    assert fake.asked == [CERTIFICATE]


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "Subject", "Signature"])
def test_a_message_that_was_changed_is_refused(fake: FakeSns, sns: Sns, field: str) -> None:
    sent = fake.message(BATCH, signed_by={field: "c2hvcnQ="}, Subject="One")
    with pytest.raises(Unverified, match="The signature is not that of SNS for this message") as caught:
        sns.verified(delivery(sent))
    assert caught.value.what == "signature"


def test_a_subject_that_was_added_is_refused(fake: FakeSns, sns: Sns) -> None:
    with pytest.raises(Unverified, match="The signature is not"):
        sns.verified(delivery(fake.message(BATCH, signed_by={"Subject": "Two"})))


def test_the_version_of_a_signature_is_its_own(fake: FakeSns, sns: Sns) -> None:
    with pytest.raises(Unverified, match="The signature is not"):
        sns.verified(delivery(fake.message(BATCH, version="1", signed_by={"SignatureVersion": "2"})))


@pytest.mark.parametrize(
    "topic",
    [
        "arn:aws:sns:eu-west-1:123456789012:others",
        "arn:aws:sns:eu-west-1:210987654321:alerts",
        "arn:aws:sns:us-east-1:123456789012:alerts",
        "",
    ],
)
def test_a_topic_that_is_not_declared_is_refused_before_anything_is_fetched(
    fake: FakeSns, sns: Sns, topic: str
) -> None:
    for sent in (fake.message(BATCH, TopicArn=topic), fake.question(TopicArn=topic)):
        with pytest.raises(Unverified, match="The topic in TopicArn may not deliver here"):
            sns.verified(delivery(sent))
    assert fake.asked == []


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace("eu-west-1", "us-east-1"),
        CERTIFICATE.replace(".com/", ".com.example.org/"),
        CERTIFICATE.replace(".com/", ".com:8443/"),
        CERTIFICATE.replace("https://", "https://sns.eu-west-1.amazonaws.com@example.org/"),
        f"{HOST}/bucket/SimpleNotificationService-0123.pem",
        f"{CERTIFICATE}?x=1",
        f"{HOST}/SimpleNotificationService-../x.pem",
        "https://example.org/SimpleNotificationService-0123.pem",
        "",
    ],
)
def test_a_certificate_comes_from_the_topics_own_address(fake: FakeSns, sns: Sns, url: str) -> None:
    with pytest.raises(Unverified, match="SigningCertURL is not an address of the topic's own SNS"):
        sns.verified(delivery(fake.message(BATCH, SigningCertURL=url)))
    assert fake.asked == []


def test_topics_of_other_partitions_have_their_own_addresses(fake: FakeSns) -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:alerts"
    url = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0123.pem"
    fake.pages[url] = fake.pages[CERTIFICATE]
    sent = fake.message(BATCH, TopicArn=topic, SigningCertURL=url)
    assert Sns([topic], fake.fetch).verified(delivery(sent)).is_notification


@pytest.mark.parametrize("days", [-3650, 2])
def test_a_certificate_is_valid_now(fake: FakeSns, sns: Sns, days: int) -> None:
    fake.pages[CERTIFICATE] = certified(fake.key, NOW + timedelta(days=days), 30)
    with pytest.raises(Unverified, match="The certificate of SNS is not valid at this time"):
        sns.verified(delivery(fake.message(BATCH)))


def test_a_clock_that_is_ten_minutes_off_loses_nothing(fake: FakeSns, sns: Sns) -> None:
    for minutes in (-10, 10):
        sent = replace(delivery(fake.message(BATCH)), received=NOW + timedelta(minutes=minutes))
        assert sns.verified(sent).is_notification


def test_a_certificate_of_another_kind_is_refused(fake: FakeSns, sns: Sns) -> None:
    fake.pages[CERTIFICATE] = certified(ec.generate_private_key(ec.SECP256R1()), NOW - timedelta(days=1), 30)
    with pytest.raises(Unverified, match="has no RSA key"):
        sns.verified(delivery(fake.message(BATCH)))
    fake.pages[CERTIFICATE] = b"<html>"
    with pytest.raises(Unverified, match="does not lead to a certificate"):
        Sns([TOPIC], fake.fetch).verified(delivery(fake.message(BATCH)))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", BATCH.encode(), b'{"Type": "Notification"}', b'{"Type": "Other", "Signature": "x"}',
        b"\xff", b"[" * 100_000, b'{"Type": ["Notification"]}',
    ],
)  # fmt: skip
def test_what_is_not_a_message_is_refused(sns: Sns, body: bytes) -> None:
    with pytest.raises(Unverified, match="The body is not a"):
        sns.verified(delivery(body))


@pytest.mark.parametrize("version", ["3", "", "0"])
def test_an_unknown_version_is_refused(fake: FakeSns, sns: Sns, version: str) -> None:
    with pytest.raises(Unverified, match="raw messages have no signature"):
        sns.verified(delivery(fake.message(BATCH, signed_by={"SignatureVersion": version})))


def test_without_its_certificate_a_message_waits(fake: FakeSns, sns: Sns) -> None:
    fake.away = True
    with pytest.raises(ProofUnavailable):
        sns.verified(delivery(fake.message(BATCH)))
    fake.away = False
    assert sns.verified(delivery(fake.message(BATCH))).is_notification
    fake.away = True
    assert sns.verified(delivery(fake.message(BATCH))).is_notification


def test_strangers_cannot_make_it_fetch_without_end(fake: FakeSns, sns: Sns, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(sns_module, "monotonic", lambda: now[0])
    sns.verified(delivery(fake.message(BATCH)))
    for number in range(20):
        url = f"{HOST}/SimpleNotificationService-{number}.pem"
        with pytest.raises(ProofUnavailable):
            sns.verified(delivery(fake.message(BATCH, SigningCertURL=url)))
    assert len(fake.asked) == sns_module.MOST_FETCHES
    assert sns.verified(delivery(fake.message(BATCH))).is_notification
    now[0] += sns_module.FETCH_SECONDS
    for number in range(12):
        url = f"{HOST}/SimpleNotificationService-x{number}.pem"
        fake.pages[url] = fake.pages[CERTIFICATE]
        now[0] += 10
        assert sns.verified(delivery(fake.message(BATCH, SigningCertURL=url))).is_notification
    assert len(sns._certificates) == sns_module.MOST_CERTIFICATES


def test_a_subscription_is_confirmed(fake: FakeSns, sns: Sns, caplog: pytest.LogCaptureFixture) -> None:
    message = sns.verified(delivery(fake.question()))
    assert not message.is_notification
    with caplog.at_level(logging.INFO):
        sns.confirm(message)
    assert fake.asked == [CERTIFICATE, SUBSCRIBE]
    assert f"the subscription to the topic {TOPIC} is confirmed" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        SUBSCRIBE.replace("https", "http"),
        SUBSCRIBE.replace(".com/", ".com.example.org/"),
        SUBSCRIBE.replace("eu-west-1", "eu-west-2"),
        SUBSCRIBE.replace("ConfirmSubscription", "Publish"),
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_subscription_is_confirmed_at_the_topics_own_address(fake: FakeSns, sns: Sns, url: str) -> None:
    message = sns.verified(delivery(fake.question(SubscribeURL=url)))
    with pytest.raises(Unverified, match="SubscribeURL is not an address of the topic's own SNS"):
        sns.confirm(message)
    assert fake.asked == [CERTIFICATE]


def test_the_end_of_a_subscription_is_logged_alone(fake: FakeSns, sns: Sns, caplog: pytest.LogCaptureFixture) -> None:
    sns.confirm(sns.verified(delivery(fake.question("UnsubscribeConfirmation"))))
    assert fake.asked == [CERTIFICATE]
    assert f"the topic {TOPIC} ended its subscription" in caplog.text


@pytest.fixture
def receiver(tmp_path: Path, fake: FakeSns) -> Iterator[Receiver]:
    journal = Journal(tmp_path / "alerts.db")
    declaration = declared(archive="", unwrap="sns", topics=[TOPIC])
    found = Receiver(
        declaration, {"HOOK_KEY": KEY}, Archive(FileStore(tmp_path / "archive")), journal, fetch=fake.fetch
    )
    yield found
    journal.close()


def test_an_alert_through_sns_is_archived_as_it_was_sent(receiver: Receiver, fake: FakeSns, tmp_path: Path) -> None:
    sent = delivery(fake.message(BATCH), None, KEY)
    assert receiver.receive(sent) == Receipt(archived=1)
    assert receiver.receive(sent) == Receipt(repeated=1)
    store = FileStore(tmp_path / "archive")
    evidence, record = store.keys()
    assert (record, store.read(record)) == ("webhooks/2023/11/14/22/13/5a3c", RECORD.encode())
    assert Evidence.read(store.read(evidence) or b"").delivery_id == "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"


def test_a_proof_beside_that_of_sns_counts_too(receiver: Receiver, fake: FakeSns) -> None:
    with pytest.raises(Unverified, match="The key in the URL"):
        receiver.receive(delivery(fake.message(BATCH), None, "another-key"))
    with pytest.raises(Unverified, match="The body is not a signed message of SNS"):
        receiver.receive(delivery(BATCH.encode(), None, KEY))
    assert fake.asked == []


def test_a_question_is_answered_and_nothing_is_kept(receiver: Receiver, fake: FakeSns, tmp_path: Path) -> None:
    assert receiver.receive(delivery(fake.question(), None, KEY)) == Receipt(greeting={"success": True})
    assert list(FileStore(tmp_path / "archive").keys()) == []
    fake.away = True
    with pytest.raises(ProofUnavailable):
        receiver.receive(delivery(fake.question(), None, KEY))


def test_a_proven_message_that_cannot_be_kept_leaves_its_evidence(
    receiver: Receiver, fake: FakeSns, tmp_path: Path
) -> None:
    with pytest.raises(BadDelivery, match="alerts: an array"):
        receiver.receive(delivery(fake.message('{"alerts": []}'), None, KEY))
    store = FileStore(tmp_path / "archive")
    (key,) = store.keys()
    assert Evidence.read(store.read(key) or b"").refused.startswith("alerts: an array")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"unwrap": "sns"}, "`unwrap: sns` and the `topics` that may deliver need each other"),
        ({"topics": [TOPIC]}, "`unwrap: sns` and the `topics` that may deliver need each other"),
        ({"unwrap": "sns", "topics": ["alerts"]}, "String should match pattern"),
        (
            {"unwrap": "sns", "topics": [TOPIC], "verify": {"kind": "github", "secret": {"env": "X"}}},
            "SNS sends no head",
        ),
    ],
)
def test_what_does_not_fit_sns_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        declared(**keys)


def test_sns_alone_proves_a_sender() -> None:
    assert declared(unwrap="sns", topics=[TOPIC], verify={"kind": "none"}).webhook.proves
    assert not declared(verify={"kind": "none"}).webhook.proves


def test_an_answer_of_sns_is_short_and_final(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "/ok": Answer(200, {}, b"found"),
        "/moved": Answer(302, {"Location": "/ok"}, b""),
        "/refused": Answer(403, {}, b"no"),
        "/long": Answer(200, {}, b"x" * (sns_module.LARGEST + 1)),
        "/endless": Answer(200, {}, repeat(b"x" * 4096)),
        "/chunks": Answer(200, {}, [b"fou", b"nd"]),
    }
    with SmallServer(lambda asked: answers[asked.path]) as server:
        assert fetch_from_sns(f"{server.origin}/ok") == b"found"
        assert fetch_from_sns(f"{server.origin}/chunks") == b"found"
        for path, status in (("/moved", 302), ("/refused", 403), ("/long", 200), ("/endless", 200)):
            with pytest.raises(ProofUnavailable, match=f"SNS answered {status}"):
                fetch_from_sns(f"{server.origin}{path}")
        asked_for = [asked.path for asked in server.requests]
        assert asked_for == ["/ok", "/chunks", "/moved", "/refused", "/long", "/endless"]
    with pytest.raises(ProofUnavailable, match="SNS cannot be reached: ConnectionError"):
        fetch_from_sns(f"{server.origin}/ok")
