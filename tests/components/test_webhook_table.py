"""The table of a webhook: its columns from lines of our own API, its faults, and the files that are shipped."""

from pathlib import Path

import pytest

from flows_platform.cli.commands.source_add import webhooks
from flows_platform.cli.commands.source_check import run_check
from flows_platform.components.catalog import read_catalog, table_at, tables_at
from flows_platform.components.source_files import WEBHOOKS
from flows_platform.components.webhook_files import read_webhooks
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.verification import Verification
from flows_platform.settings import Settings

ALERTS = """\
type: flows_platform.components.WebhookTable
attributes:
  name: vendor_alerts
  webhook:
    verify: {kind: bearer, secret: {env: HOOK_KEY}}
    records: alerts
    id: id
    created_at: {path: at}
  columns:
    - {name: alert_id, path: record_id, required: true}
    - {name: at, type: timestamp, required: true}
    - {name: host, path: [agent.host, webhook.host]}
    - {name: who, join: [agent.user, team]}
    - {name: extra_fields, type: json}
  time: at
  key: alert_id
  extra: extra_fields
  ignore: [noise]
  partitions: {cron: 0 * * * *, start: 2024-03-01T00:00:00}
"""
FAULTS = [  # a text, its replacement, and the line and words of the message
    ("time: at", "time: when", "15: time: 'when' is not one of the columns (alert_id, at, host, who, extra_fields)"),
    ("path: record_id, required: true", "path: record_id", "16: key: the column 'alert_id' must be required"),
    (
        "  partitions: {cron: 0 * * * *, start: 2024-03-01T00:00:00}\n",
        "",
        "2: attributes: partitions: the windows of the table",
    ),
    ("cron: 0 * * * *", "cron: 7 * * * *", "19: partitions.start: the first window's start"),
    ("name: host", "name: '{{ env.HOME }}'", "12: columns.2.name: the variable HOME would be shown"),
    ("  ignore: [noise]", "  ignored: [noise]", "18: ignored: there is no such key; did you mean ignore?"),
]


def written(folder: Path, text: str, name: str = "webhook.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_columns_are_read_from_lines_of_our_own_api(tmp_path: Path) -> None:
    table = table_at(written(tmp_path, ALERTS), Settings(api_port=8123))
    api = table.api()
    assert api.url == table.endpoint == "http://127.0.0.1:8123/api/v1/hooks/vendor_alerts/records"
    assert (api.verification, api.digests_lines, api.head_counts) == (Verification.DIGEST, True, True)
    assert api.newest
    assert api.newest.path == "/api/v1/hooks/vendor_alerts"
    assert api.mapping
    paths = {column.column: [path.text for path in (*column.paths, *column.join)] for column in api.mapping.columns}
    assert paths == {
        "alert_id": ["record_id"],
        "at": ["webhook.at"],
        "host": ["webhook.agent.host", "webhook.host"],
        "who": ["webhook.agent.user", "webhook.team"],
    }
    row = api.mapping.row({"record_id": "a", "webhook": {"at": "2024", "agent": {"host": "h"}, "noise": 1, "new": 2}})
    assert row == {"alert_id": "a", "at": "2024", "host": "h", "who": "|", "$.webhook.new": 2}


def test_another_server_may_receive_the_webhook(tmp_path: Path) -> None:
    table = table_at(written(tmp_path, ALERTS), Settings(hooks_url="https://hooks.example/"))
    assert table.endpoint == "https://hooks.example/api/v1/hooks/vendor_alerts/records"


@pytest.mark.parametrize(("text", "instead", "why"), FAULTS)
def test_a_fault_is_reported_with_line_and_key(tmp_path: Path, text: str, instead: str, why: str) -> None:
    assert text in ALERTS
    with pytest.raises(ConfigurationError) as caught:
        tables_at(written(tmp_path, ALERTS.replace(text, instead, 1)), Settings())
    assert f"{tmp_path}/webhook.yaml:{why}" in str(caught.value)


def test_a_table_needs_columns(tmp_path: Path) -> None:
    columns = ALERTS[ALERTS.index("  columns:") : ALERTS.index("  time:")]
    with pytest.raises(
        ConfigurationError, match="2: attributes: columns: `time` is that of a table, and there are no columns"
    ):
        tables_at(written(tmp_path, ALERTS.replace(columns, "")), Settings())
    alone = ALERTS[: ALERTS.index("  columns:")]
    assert tables_at(written(tmp_path, alone), Settings()) == []
    with pytest.raises(ConfigurationError, match="declares no table"):
        table_at(tmp_path / "webhook.yaml", Settings())


def test_a_bad_file_is_a_fault_of_its_own(tmp_path: Path) -> None:
    settings = Settings(sources=(str(tmp_path),))
    written(tmp_path, ALERTS)
    bad = written(tmp_path, ALERTS.replace("kind: bearer", "kind: bearrer"), "bad.yaml")
    clash = written(tmp_path, ALERTS.replace("name: vendor_alerts", "name: zz\n  archive: vendor_alerts"), "z.yaml")
    catalog, received = read_catalog(settings), read_webhooks(settings)
    assert [table.name for table in catalog.tables] == ["vendor_alerts", "zz"]
    assert [webhook.name for webhook in received.webhooks] == ["vendor_alerts"]
    for faults in (catalog.faults, received.faults):
        assert [fault.file for fault in faults] == [str(bad), str(clash)]
        assert "bad.yaml:5: webhook.verify: kind is 'bearrer'" in faults[0].message
        assert "vendor_alerts and zz have one folder in the archive, vendor_alerts" in faults[1].message


def test_webhooks_and_tables_share_a_file(tmp_path: Path) -> None:
    other = ALERTS.replace("name: vendor_alerts", "name: others")
    path = written(tmp_path, f"{ALERTS}---\n{other}")
    assert [table.name for table in tables_at(path, Settings())] == ["vendor_alerts", "others"]
    with pytest.raises(ConfigurationError, match="declares several tables: vendor_alerts, others"):
        table_at(path, Settings())


def test_the_shipped_files_have_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(webhooks()) == ["github_alerts", "standard_events", "threatstack_alerts"]
    assert run_check([str(WEBHOOKS)])
    assert capsys.readouterr().out == "3 files, 3 tables: no faults.\n"
