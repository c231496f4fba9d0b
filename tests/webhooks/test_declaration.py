"""The YAML of a webhook: what it allows, and the file, line and key of what it does not."""

from pathlib import Path

import pytest

from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_files import Webhooks, clash_of, load_webhooks
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings

GOOD = """\
type: flows_platform.components.WebhookTable
attributes:
  name: vendor_alerts
  webhook:
    path: /api/v1/s3/alert
    aliases: [/old/alert]
    verify: {kind: url_secret, secret: {env: HOOK_KEY}, old: {env: HOOK_OLD, required: false}}
    senders: [192.0.2.7, 198.51.100.0/24, "2001:db8::/32"]
    records: alerts
    id: id
    created_at: {path: created_at, written: milliseconds}
    limit_bytes: 65536
"""
FAULTS = [  # a text, its replacement, and the line and words of the message
    ("records: alerts", "record: alerts", "9: webhook.record is 'alerts': there is no such key; did you mean records?"),
    ("kind: url_secret", "kind: urlsecret", "7: webhook.verify: kind is 'urlsecret'; allowed are 'standard', 'github'"),
    ("{env: HOOK_KEY}", "hunter2", "7: webhook.verify.secret: a secret does not belong in a file: write {env: NAME}"),
    ("secret: {env: HOOK_KEY}, ", "", "7: webhook.verify.secret: this key is missing: The secret that is shared"),
    ("192.0.2.7", "192.0.2.7/24", "8: webhook.senders.0 is '192.0.2.7/24': an address or a network is needed, such"),
    ("192.0.2.7", "vendor.example", "8: webhook.senders.0 is 'vendor.example': an address or a network is needed"),
    ("/api/v1/s3/alert", "api/alert", "5: webhook.path is 'api/alert': a path is needed, such as /api/v1/hooks/NAME"),
    ("/api/v1/s3/alert", "/a/{id}", "5: webhook.path is '/a/{id}': a path is needed"),
    ("/api/v1/s3/alert", "/healthz", "5: webhook.path: the server has /healthz for itself"),
    ("written: milliseconds", "written: unix", "11: webhook.created_at.written is 'unix': Input should be 'iso'"),
    ("records: alerts", "records: 'alerts[0]'", "9: webhook.records: the path of the array has names alone"),
    ("    id: id\n", "", "9: webhook.records: the records of one delivery need an id each"),
    ("    records: alerts\n    id: id\n", "", "4: webhook: an id is needed: write `id`, or `delivery` where"),
    ("limit_bytes: 65536", "limit_bytes: 1", "12: webhook.limit_bytes is '1': Input should be greater than or equal"),
    ("limit_bytes: 65536", "answer: 201", "12: webhook.answer is '201': Input should be 200, 202 or 204"),
    ("    limit_bytes: 65536", "    delivery: {}", "12: webhook.delivery: write `header`, or `path`"),
    ("name: vendor_alerts", "name: deliveries", "3: name: the archive has folders webhooks, alerts and deliveries of"),
    ("  webhook:", "  archive: alerts/x\n  webhook:", "4: archive: the archive has folders webhooks, alerts and"),
    ("  webhook:", "  archive: ../x\n  webhook:", "4: archive is '../x': a folder is needed, such as alerts_of_vendor"),
    ("  name: vendor_alerts\n", "", "2: name: this key is missing: The source's name"),
]


def load(tmp_path: Path, text: str) -> list[WebhookTableDeclaration]:
    path = tmp_path / "webhook.yaml"
    path.write_text(text)
    return load_webhooks(path, Settings())


def test_a_webhook_is_read(tmp_path: Path) -> None:
    (found,) = load(tmp_path, GOOD)
    assert found.paths == ("/api/v1/s3/alert", "/old/alert")
    assert (found.folder, found.webhook.answer, found.webhook.limit_bytes) == ("vendor_alerts", 200, 65536)
    assert found.secrets({"HOOK_KEY": "a-long-secret"}.get) == {"HOOK_KEY": "a-long-secret", "HOOK_OLD": ""}
    with pytest.raises(ConfigurationError, match="the environment variable HOOK_KEY is not set"):
        found.secrets(dict[str, str]().get)
    with pytest.raises(ConfigurationError, match="cannot be in a URL"):
        found.secrets({"HOOK_KEY": "short"}.get)


@pytest.mark.parametrize(("text", "instead", "why"), FAULTS)
def test_a_fault_is_reported_with_line_and_key(tmp_path: Path, text: str, instead: str, why: str) -> None:
    assert text in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(text, instead, 1))
    assert f"{tmp_path}/webhook.yaml:{why}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    text = """\
type: flows_platform.components.WebhookTable
attributes:
  name: events
  archive: ""
  webhook:
    verify: {kind: standard, secret: {env: HOOK_KEY}}
    created_at: {path: timestamp}
"""
    (found,) = load(tmp_path, text)
    assert (found.paths, found.folder) == (("/api/v1/hooks/events",), "")
    assert found.webhook.admits("203.0.113.9")


@pytest.mark.parametrize(
    ("sender", "admitted"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("198.51.100.200", True),
        ("2001:db8::1", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db9::1", False),
        ("", False),
        ("a name", False),
    ],
)
def test_declared_addresses_alone_send(tmp_path: Path, sender: str, admitted: bool) -> None:  # noqa: FBT001
    (found,) = load(tmp_path, GOOD)
    assert found.webhook.admits(sender) is admitted


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([], "have one name"),
        ([("name: vendor_alerts", "name: other")], "have one path, /api/v1/s3/alert"),
        (
            [("name: vendor_alerts", "name: other\n  archive: vendor_alerts"), ("/api", "/x/api"), ("/old", "/x/old")],
            "have one folder in the archive, vendor_alerts",
        ),
    ],
)
def test_of_webhooks_that_clash_the_first_is_received(tmp_path: Path, changes: list[tuple[str, str]], why: str) -> None:
    other = GOOD
    for text, instead in changes:
        other = other.replace(text, instead)
    one, second = load(tmp_path, f"{GOOD}---\n{other}")
    assert clash_of(second, one) == f"{one.name} and {second.name} {why}"
    found = Webhooks([], [])
    found.add(tmp_path / "webhook.yaml", [one, second])
    assert found.webhooks == [one]
    assert [fault.message for fault in found.faults] == [
        f"{tmp_path}/webhook.yaml: {one.name} and {second.name} {why}. Change one; the first is received."
    ]
