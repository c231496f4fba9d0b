"""A webhook with details and a vendor's list: rows from both, checks in Dagster, and `flows alerts`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows_platform.cli.app import app
from flows_platform.cli.commands.source_try import run_try
from flows_platform.components.source_files import shipped_file
from flows_platform.components.webhook_checks import archive_definitions
from flows_platform.components.webhook_files import load_webhooks, webhook_named
from flows_platform.components.webhook_reconcile import listed_row, reconciled_days
from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.orchestration.resources import FetchResource
from flows_platform.settings import Settings
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.journal import Journal
from tests.components.vendor import KEY, SOURCE, Vendor, alert, deliver, project, receiving
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

WINDOW = "2024-03-01-12:00"
NOW = datetime(2024, 3, 2, 4, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return project(tmp_path, monkeypatch)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as found:
        yield found


def run(*words: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def job_of(settings: Settings, name: str) -> dg.JobDefinition:
    """A job of the webhook's definitions."""
    folder = Path(settings.sources[0])
    table = dg.Definitions(assets=[dg.AssetSpec("vendor_alerts")], resources={"fetch": FetchResource(tries=1)})
    of_archive = archive_definitions(webhook_named("vendor_alerts", settings), settings, folder, lambda: NOW)
    return dg.Definitions.merge(table, of_archive).resolve_job_def(name)


def checks(settings: Settings, job: str) -> dict[str, tuple[bool, dict[str, Any], str]]:
    """What the checks of a job say: whether they passed, their metadata and their severity."""
    with dg.DagsterInstance.ephemeral() as instance:
        evaluated = job_of(settings, job).execute_in_process(instance=instance).get_asset_check_evaluations()
    return {
        one.check_name: (one.passed, {name: value.value for name, value in one.metadata.items()}, one.severity.value)
        for one in evaluated
    }


def kill_detail(settings: Settings, record_id: str) -> None:
    """Give a detail up, as a worker would."""
    journal = Journal(settings.journal)
    queue = DetailQueue(journal, "vendor_alerts")
    assert queue.replay(0.0, [record_id]) == 1
    claim = queue.claim(1.0, 60.0)
    assert claim
    queue.give_up(claim, "the vendor answered 500.")
    journal.close()


def test_rows_have_the_detail_and_the_webhook(
    settings: Settings, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.details["a-1001"] = {"id": "a-1001", "severity": 3, "rule": {"name": "Two countries", "version": 4}}
    with receiving(vendor, settings) as (hooks, store):
        monkeypatch.setenv("FLOWS_HOOKS_URL", f"http://127.0.0.1:{hooks.port}")
        deliver(hooks, alert("a-1001", severity=2), alert("a-1002", severity=1, title="None"))
        assert store.details.acquire(timeout=60)
        run_try("vendor_alerts", WINDOW, limit=None, out=Path("rows.parquet"), as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["rejects"], answer["verification"]) == (2, [], "L3 digest")
    first, second = pq.read_table("rows.parquet").to_pylist()
    assert (first["alert_id"], first["severity"], first["rule"], first["detail_state"]) == (
        "a-1001",
        3,
        "Two countries",
        "present",
    )
    assert json.loads(first["extra_fields"]) == {
        "$.webhook.id": "a-1001",
        "$.detail.alert.id": "a-1001",
        "$.detail.alert.rule.version": 4,
    }
    assert (second["alert_id"], second["severity"], second["rule"]) == ("a-1002", 1, None)
    assert second["detail_state"] in {"pending", "absent"}


def test_alerts_are_listed_shown_and_made_due_again(settings: Settings, vendor: Vendor) -> None:
    vendor.details["a-1001"] = detail = {"id": "a-1001", "severity": 3}
    with receiving(vendor, settings) as (hooks, store):
        deliver(hooks, alert("a-1001"))
        assert store.details.acquire(timeout=60)
    assert run("alerts", "list") == "vendor_alerts: 0 pending; 0 given up\n"
    shown = json.loads(run("alerts", "show", "a-1001"))
    assert shown == {
        "source": "vendor_alerts",
        "id": "a-1001",
        "key": "vendor_alerts/webhooks/2024/03/01/12/30/a-1001",
        "detail_state": "present",
        "detail_at": shown["detail_at"],
        "webhook": alert("a-1001"),
        "detail": {"alert": detail},
    }
    assert datetime.fromisoformat(shown["detail_at"]).tzinfo is not None
    done = CliRunner().invoke(app, ["alerts", "show", "unknown"])
    assert (done.exit_code, done.output) == (1, "No webhook has a record unknown.\n")
    done = CliRunner().invoke(app, ["alerts", "replay", "a-1001"])
    assert isinstance(done.exception, InputError)
    assert "0 of 1 details are due again" in str(done.exception)


def test_given_up_details_are_listed_with_their_reason(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings) as (hooks, _):
        vendor.token = "another"  # noqa: S105 - the stand-in's
        deliver(hooks, alert("a-1001"))
    kill_detail(settings, "a-1001")
    lines = run("alerts", "list", "--source", "vendor_alerts", "--dead").splitlines()
    assert lines[0] == "vendor_alerts: 0 pending; 1 given up"
    assert lines[1].startswith("  a-1001  dead since 20")
    assert lines[1].endswith("Z, 1 tries: the vendor answered 500.")
    (record,) = json.loads(run("alerts", "list", "--json"))["vendor_alerts"]["records"]
    assert (record["id"], record["state"]) == ("a-1001", "dead")
    found = checks(settings, "vendor_alerts_archive_job")
    passed, figures, severity = found["details_present"]
    assert (passed, severity, figures["given_up"]) == (False, "ERROR", 1)
    assert "flows alerts list --source vendor_alerts --dead" in figures["remedy"]
    assert found["no_differing_repeats"][0]
    assert run("alerts", "replay", "--dead") == (
        "1 details are due again. The API server fetches them within half a minute.\n"
    )
    assert run("alerts", "list").startswith("vendor_alerts: 1 pending, the oldest since 20")


def test_a_job_makes_details_due_again(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings) as (hooks, _):
        deliver(hooks, alert("a-1001"))
    kill_detail(settings, "a-1001")
    job = job_of(settings, "vendor_alerts_replay_job")
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
    assert run("alerts", "list", "--dead").startswith("vendor_alerts: 1 pending")


def test_a_late_detail_is_a_warning_and_a_stop_an_error(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings) as (hooks, _):
        deliver(hooks, alert("a-1001"), alert("a-1002"))
    journal = Journal(settings.journal)
    queue = DetailQueue(journal, "vendor_alerts")
    assert queue.replay(NOW.timestamp() - 4000, ["a-1001"]) == 1
    passed, figures, severity = checks(settings, "vendor_alerts_archive_job")["details_present"]
    assert (passed, severity, figures["oldest_pending_seconds"]) == (False, "WARN", 4000)
    queue.stop("the vendor answered 401.")
    journal.close()
    passed, figures, severity = checks(settings, "vendor_alerts_archive_job")["details_present"]
    assert (passed, severity, figures["stopped"]) == (False, "ERROR", "the vendor answered 401.")
    assert "  stopped: the vendor answered 401." in run("alerts", "list")


def test_what_the_vendor_lists_and_never_sent_is_archived(settings: Settings, vendor: Vendor) -> None:
    vendor.details = {f"a-100{number}": {"id": f"a-100{number}"} for number in (1, 2)}
    vendor.listed = [
        alert("a-1001"),
        alert("a-1002", "2024-03-01T13:00:00Z", severity=2, rule={"name": "A", "n": 1}),
        alert("later", "2024-03-02T09:00:00Z"),
    ]
    with receiving(vendor, settings) as (hooks, _):
        deliver(hooks, alert("a-1001"))
        passed, figures, severity = checks(settings, "vendor_alerts_reconcile_job")["matches_vendor"]
        assert (passed, severity) == (False, "WARN")
        assert (figures["listed"], figures["missing"], figures["first_missing"]) == (2, 1, "a-1002")
        assert "| 2024-03-01 | 2 | 1 | 0 |" in figures["days"]
        assert checks(settings, "vendor_alerts_reconcile_job")["matches_vendor"][0]
    shown = json.loads(run("alerts", "show", "a-1002"))
    assert shown["webhook"] == alert("a-1002", "2024-03-01T13:00:00+00:00", severity=2, rule={"name": "A", "n": 1})


def test_a_listed_record_that_cannot_be_kept_is_refused_alone(settings: Settings, vendor: Vendor) -> None:
    odd: dict[str, Any] = {"a.b": 1, 'a"[0]': {"x": [None, [1]]}, "": 2, "n": 10**30}
    vendor.listed = [
        alert("a-1001", title="\ud800"),
        alert("a-1002", deep=json.loads("[" * 80 + "]" * 80)),
        alert("a-1003") | odd,
    ]
    with receiving(vendor, settings):
        passed, figures, severity = checks(settings, "vendor_alerts_reconcile_job")["matches_vendor"]
    assert (passed, severity) == (False, "ERROR")
    assert (figures["listed"], figures["missing"], figures["refused"], figures["first_missing"]) == (3, 3, 2, "a-1003")
    assert "a-1001: Half of a surrogate pair" in figures["reasons"]
    assert "a-1002: The body nests deeper" in figures["reasons"]
    assert json.loads(run("alerts", "show", "a-1003"))["webhook"].items() >= odd.items()


@pytest.mark.parametrize("fields", ["[" * 200_000, '{"n": ' + "1" * 5_000 + "}"])
def test_fields_that_cannot_be_read_refuse_their_record(fields: str) -> None:
    assert listed_row("a-1001", NOW, fields, [("id",)]).refused.startswith("the object cannot be read: ")


def test_fields_go_where_they_were() -> None:
    fields = '{"$.alert.title": "x", "$.alert.a.b": 0.10, "$.a.b": 1, "$.at.x": 2}'
    found = listed_row("a-1001", NOW, fields, [("alert", "id"), ("at",)]).fields
    assert found == {"alert": {"title": "x", "a.b": Decimal("0.10")}, "a.b": 1, "at.x": 2}


def test_a_list_that_cannot_be_fetched_is_not_an_agreement(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings):
        vendor.token = "another"  # noqa: S105 - the stand-in's
        with pytest.raises(Exception, match="answered 401"):
            checks(settings, "vendor_alerts_reconcile_job")


def test_a_machine_without_the_journal_says_so(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings) as (hooks, _):
        deliver(hooks, alert("a-1001"))
    for file in settings.files.journals.iterdir():
        file.unlink()
    for words in (["list"], ["show", "a-1001"], ["replay", "--dead"]):
        done = CliRunner().invoke(app, ["alerts", *words])
        assert isinstance(done.exception, ConfigurationError), words
        assert "this machine has no journal of vendor_alerts in file://" in str(done.exception)
    assert not settings.journal.exists()
    assert run("alerts", "reindex") == "vendor_alerts: 1 records\n"
    assert json.loads(run("alerts", "show", "a-1001"))["id"] == "a-1001"
    assert run("alerts", "list").startswith("vendor_alerts: 1 pending")


@pytest.mark.parametrize("words", [[], ["--dead", "a-1001"]])
def test_which_details_are_due_again_must_be_said(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["alerts", "replay", *words])
    assert str(done.exception) == "which details are due again? Name ids, or give --dead."


def test_an_unknown_webhook_is_named(settings: Settings, vendor: Vendor) -> None:
    with receiving(vendor, settings):
        pass
    done = CliRunner().invoke(app, ["alerts", "list", "--source", "vendor_alert"])
    assert "there is no webhook 'vendor_alert'; did you mean vendor_alerts?" in str(done.exception)


@pytest.mark.parametrize(
    ("text", "other", "why"),
    [
        (
            "VENDOR/v1/alerts/{id}",
            "https://{record.host}/{id}",
            "a record's value is in the host: secrets would go wherever a webhook says",
        ),
        ("    id: id\n", "", "the records of one delivery need an id each"),
        ("    time: {after: from,", "    time: {after: [", "vendor.yaml"),
        ("url: VENDOR/v1/alerts\n", "url: nowhere\n", "reconcile.url"),
        (SOURCE[SOURCE.index("  columns:") :], "", "reconcile: only a table is compared"),
    ],
)
def test_faults_name_their_keys(tmp_path: Path, text: str, other: str, why: str) -> None:
    (tmp_path / "vendor.yaml").write_text(SOURCE.replace(text, other).replace("VENDOR/", "https://vendor.example/"))
    with pytest.raises(ConfigurationError, match=why):
        load_webhooks(tmp_path / "vendor.yaml", Settings())


def test_threat_stacks_list_is_compared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        "active": True,
        "agent_id": "52eafd46e5777f3a26000008",
        "created_at": 1_709_296_200_000,  # 2024-03-01T12:30:00Z
        "id": "52ebb55fdf5fb93e710002bd",
        "rule_id": "525740a144414e7d1c00000b",
        "severity": 1,
        "title": "Netcat Detected!",
    }

    def threat_stack(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != KEY:
            return document({}, 401)
        day = asked.parameters["end"] >= "2024-03-01T00:00:00.000Z" and asked.parameters["start"] < "2024-03-01T12"
        return document([listed] if day else [])

    monkeypatch.setenv("THREATSTACK_HOOK_SECRET", KEY)
    monkeypatch.setenv("THREATSTACK_API_KEY", KEY)
    with SmallServer(threat_stack) as server:
        file = Path(settings.sources[0], "alerts.yaml")
        text = shipped_file("threatstack_alerts").read_text()
        file.write_text(text.replace("https://app.threatstack.com", server.origin))
        assert run("alerts", "reindex") == "threatstack_alerts: 0 records\n"
        found = reconciled_days(
            webhook_named("threatstack_alerts", settings), settings, file.parent, FetchResource(tries=1), NOW
        )
    assert {day: (one.listed, one.missing, one.refused) for day, one in found.items()} == {
        "2024-02-29": (0, 0, 0),
        "2024-03-01": (1, 1, 0),
    }
    shown = json.loads(run("alerts", "show", "52ebb55fdf5fb93e710002bd"))
    assert shown["key"] == "webhooks/2024/03/01/12/30/52ebb55fdf5fb93e710002bd"
    assert shown["webhook"] == listed
