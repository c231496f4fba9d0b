"""Failed runs, failed checks and stale tables are posted to a real receiver: once, and once more when they are over."""

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from flows_platform.definitions import build_definitions
from flows_platform.orchestration.notifications.message import post
from flows_platform.orchestration.partitions import range_tags
from flows_platform.settings import Settings
from tests.components.test_yaml_faults import GOOD
from tests.fakes.proxy import LittleProxy
from tests.orchestration.notifications.conftest import Looker, Receiver

DAYS = dg.DailyPartitionsDefinition("2024-03-01", end_date="2024-03-06")
KEYS = DAYS.get_partition_keys()
RANGE = range_tags(KEYS[0], KEYS[-1])
ILL: dict[str, str] = {}  # window -> error; "" is the step's own
CHECKED: dict[str, bool] = {}  # window -> whether its check holds


def table() -> dg.AssetsDefinition:
    """A daily table whose windows, step and check fail as the test decides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        check = dg.AssetCheckSpec("rows_agree", asset="events", description="They agree.", partitions_def=DAYS)

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                "events",
                partitions_def=DAYS,
                skippable=True,
                group_name="feed",
                freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6)),
            )
        ],
        name="events_windows",
        check_specs=[check],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def events_windows(context: dg.AssetExecutionContext) -> Iterator[None]:
        if "" in ILL:
            raise ValueError(ILL[""])
        for key, passed in CHECKED.items():
            figures = {"rows": 5} | ({} if passed else {"remedy": "Count again."})
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("events"),
                    check_name="rows_agree",
                    passed=passed,
                    partition=key,
                    metadata={
                        name: dg.MetadataValue.int(v) if isinstance(v, int) else v for name, v in figures.items()
                    },
                    description="They agree.",
                )
            )
        yield from ()
        if ill := {key: error for key, error in ILL.items() if key in context.partition_keys}:
            raise dg.Failure(f"{len(ill)} windows failed.", metadata=ill, allow_retries=False)

    return events_windows


@pytest.fixture
def looker() -> Iterator[Looker]:
    """The platform with nothing wrong, after the sensor's first tick."""
    ILL.clear()
    CHECKED.clear()
    definitions = dg.Definitions(
        assets=[table()],
        jobs=[dg.define_asset_job("events_job", selection=["events"])],
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        made = Looker(instance, definitions)
        made.look()
        yield made


def run(looker: Looker, first: str = "", last: str = "", tags: dict[str, str] | None = None) -> str:
    chosen = range_tags(first, last or first)
    job = looker.definitions.resolve_job_def("events_job")
    result = job.execute_in_process(
        instance=looker.instance, raise_on_error=False, tags=(chosen if first else RANGE) | (tags or {})
    )
    return result.run_id


def test_a_failed_window_is_told_once_until_it_heals(looker: Looker, receiver: Receiver) -> None:
    ILL.update({KEYS[1]: "the API answered 500.", KEYS[3]: "the API answered 500."})
    run_id = run(looker)
    looker.look()
    (post,) = receiver.posts
    assert post["members"] == [KEYS[1], KEYS[3]]
    assert post["error"] == f"2 windows failed. {KEYS[1]}: the API answered 500."
    assert post["link"] == f"http://127.0.0.1:3000/runs/{run_id}"
    assert "Failed and missing" in post["remedy"]
    assert (post["job"], post["run_id"]) == ("events_job", run_id)
    assert receiver.arrived() == [("opened", "run", "events_windows")]

    looker.look()
    run(looker)  # fails again
    del ILL[KEYS[1]]
    run(looker, KEYS[1])  # one of the two is well
    looker.look()
    assert receiver.arrived() == []

    ILL.clear()
    run(looker, KEYS[2], KEYS[4])
    looker.look()
    assert receiver.arrived() == [("healed", "run", "events_windows")]
    looker.look()
    assert receiver.arrived() == []


def test_a_step_that_fails_as_a_whole_fails_all_its_windows(looker: Looker, receiver: Receiver) -> None:
    ILL[""] = "the warehouse does not answer."
    run(looker)
    looker.look()
    (post,) = receiver.posts
    assert post["members"] == [KEYS[0], KEYS[-1]]
    assert "the warehouse does not answer" in post["error"]
    receiver.posts.clear()
    ILL.clear()
    run(looker)
    looker.look()
    assert receiver.arrived() == [("healed", "run", "events_windows")]


def test_a_run_that_will_be_tried_again_is_not_told(looker: Looker, receiver: Receiver) -> None:
    ILL[KEYS[0]] = "its process died."
    run(looker, tags={"dagster/will_retry": "true"})
    looker.look()
    assert receiver.arrived() == []


def test_a_run_that_fails_without_a_step_is_told_by_its_job(looker: Looker, receiver: Receiver) -> None:
    job = looker.definitions.resolve_job_def("events_job")
    lost = looker.instance.create_run_for_job(job, tags=RANGE, status=dg.DagsterRunStatus.STARTED)
    looker.instance.report_run_failed(lost, "The process of this run ended.")
    looker.look()
    assert receiver.posts[0]["error"] == "The process of this run ended."
    assert receiver.arrived() == [("opened", "run", "events_job")]
    run(looker)
    looker.look()
    assert receiver.arrived() == [("healed", "run", "events_job")]


def test_a_failed_check_is_told_with_its_remedy_until_it_holds(looker: Looker, receiver: Receiver) -> None:
    CHECKED.update({KEYS[0]: True, KEYS[1]: False, KEYS[2]: False})
    run(looker)
    looker.look()
    (post,) = receiver.posts
    assert post["members"] == KEYS[1:3]
    assert post["error"] == "does not hold: They agree. rows 5"
    assert post["remedy"] == "Count again."
    assert post["link"].endswith("/assets/events?view=checks&checkDetail=rows_agree")
    assert receiver.arrived() == [("opened", "check", "events: rows_agree")]

    CHECKED.update({KEYS[1]: True})
    run(looker)
    looker.look()
    assert receiver.arrived() == []
    CHECKED.update({KEYS[2]: True})
    run(looker)
    looker.look()
    assert receiver.arrived() == [("healed", "check", "events: rows_agree")]


def freshness(looker: Looker, new: FreshnessState, old: FreshnessState) -> None:
    """Record what Dagster's daemon records when an asset's freshness changes."""
    change = FreshnessStateChange(
        key=dg.AssetKey("events"), new_state=new, previous_state=old, state_change_timestamp=1_700_000_000.0
    )
    looker.instance._report_runless_asset_event(change)


def test_a_stale_table_is_told_until_it_is_fresh(looker: Looker, receiver: Receiver) -> None:
    freshness(looker, FreshnessState.WARN, FreshnessState.PASS)
    looker.look()
    assert receiver.arrived() == []
    freshness(looker, FreshnessState.FAIL, FreshnessState.WARN)
    looker.look()
    (post,) = receiver.posts
    assert (post["members"], post["since"]) == (["events"], "2023-11-14T22:13:20Z")
    assert post["error"] == "no window has come yet."
    assert post["link"].endswith("/assets/events")
    assert receiver.arrived() == [("opened", "freshness", "feed")]
    looker.look()
    assert receiver.arrived() == []
    freshness(looker, FreshnessState.PASS, FreshnessState.FAIL)
    looker.look()
    assert receiver.arrived() == [("healed", "freshness", "feed")]


def test_what_is_no_longer_watched_is_no_problem(looker: Looker, receiver: Receiver) -> None:
    freshness(looker, FreshnessState.FAIL, FreshnessState.PASS)
    looker.look()
    assert receiver.arrived() == [("opened", "freshness", "feed")]
    looker.definitions = dg.Definitions()
    looker.look()
    assert receiver.arrived() == [("healed", "freshness", "feed")]


def test_what_is_not_taken_is_sent_later_and_once(
    looker: Looker, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ILL[KEYS[0]] = "broken"
    CHECKED[KEYS[0]] = False
    run(looker)
    receiver.status = 503
    looker.look()
    assert receiver.arrived() == []
    logged = capsys.readouterr()
    assert "2 messages wait: the notification URL answered 503" in logged.err
    assert "canary" not in logged.err + logged.out
    receiver.status = 200
    looker.look()
    assert receiver.arrived() == [("opened", "run", "events_windows"), ("opened", "check", "events: rows_agree")]
    looker.look()
    assert receiver.arrived() == []


def test_a_receiver_that_is_not_there_is_not_named(
    looker: Looker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_NOTIFICATION_URL", "http://127.0.0.1:9/canary")
    ILL[KEYS[0]] = "broken"
    run(looker)
    looker.look()
    logged = capsys.readouterr()
    assert "the notification URL gives no answer" in logged.err
    assert "canary" not in logged.err + logged.out


def test_without_a_url_it_is_logged(looker: Looker, capsys: pytest.CaptureFixture[str]) -> None:
    ILL[KEYS[0]] = "broken"
    run(looker)
    capsys.readouterr()
    looker.look()
    assert f"Run failed: events_windows ({KEYS[0]})" in capsys.readouterr().err


def test_what_failed_before_the_first_look_is_history(looker: Looker, receiver: Receiver) -> None:
    ILL[KEYS[0]] = "broken"
    run(looker)
    looker.cursor = None
    looker.look()
    assert receiver.arrived() == []
    run(looker)
    looker.look()
    assert receiver.arrived() == [("opened", "run", "events_windows")]


def test_the_sensor_runs_from_the_start_in_the_platform() -> None:
    sensor = build_definitions(Settings()).get_repository_def().get_sensor_def("notifications")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_links_lead_to_where_people_reach_the_ui(
    looker: Looker, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWS_DAGSTER_URL", "https://dagster.example.com/flows/")
    ILL[KEYS[0]] = "the API answered 500."
    run_id = run(looker)
    looker.look()
    assert [post["link"] for post in receiver.posts] == [f"https://dagster.example.com/flows/runs/{run_id}"]


def test_a_source_that_cannot_be_loaded_is_reported_once_and_healed(receiver: Receiver, tmp_path: Path) -> None:
    def definitions(text: str) -> dg.Definitions:
        (tmp_path / "mine.yaml").write_text(text)
        return build_definitions(Settings(sources=(str(tmp_path),)))

    with dg.DagsterInstance.ephemeral() as instance:
        made = Looker(instance, definitions("type: nothing"))
        made.look()
        (post,) = receiver.posts
        assert (post["event"], post["kind"], post["problem"]) == ("opened", "source", f"{tmp_path}/mine.yaml")
        assert post["text"].startswith(f"Source not loaded: {tmp_path}/mine.yaml")
        assert "write `type: " in post["error"]
        made.look()
        assert len(receiver.posts) == 1
        made.definitions = definitions(GOOD)
        made.look()
        assert receiver.arrived()[1:] == [("healed", "source", f"{tmp_path}/mine.yaml")]


def test_a_message_goes_through_the_proxy_of_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LittleProxy(int(receiver.url.rpartition(":")[2].partition("/")[0])) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        monkeypatch.delenv("no_proxy", raising=False)
        post("http://hooks.example/hook", {"event": "opened"})
    assert proxy.requests == ["POST http://hooks.example/hook"]
    assert receiver.posts == [{"event": "opened"}]
