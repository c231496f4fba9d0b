"""A warehouse that no longer equals the source: the check, the command and the sensor see it and repair it."""

import subprocess
import sys

import dagster as dg
import pytest

from flows_platform.pipeline.compare import compare_counts, compare_rows
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.window_files.ledger import Committed, Fetched, ledger_of
from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2014-01-01-00:00", "2014-01-01-03:00", "2014-01-01-06:00"


def late_record(platform: Platform) -> None:
    platform.change_database("INSERT INTO flows VALUES (900001, 5, 0, 'C1', 'N1', 'C2', '445', 6, 1, 46)")


def differences(platform: Platform, *, by_rows: bool = False) -> dict[str, str]:
    windows = [flows_windows(platform.settings).grid.from_key(key) for key in (FIRST, SECOND, THIRD)]
    with platform.windows() as pipeline:
        compare = (
            compare_rows(pipeline, windows)
            if by_rows
            else compare_counts(pipeline, flows_windows(platform.settings).grid, windows)
        )
        return {compared.window.key: compared.difference for compared in compare if compared.difference}


@pytest.fixture
def loaded(platform: Platform) -> Platform:
    """Three windows in the warehouse."""
    assert platform.run_windows(FIRST, THIRD).success
    return platform


def test_counts_name_what_differs_and_where(loaded: Platform) -> None:
    assert differences(loaded) == {}
    late_record(loaded)
    loaded.query("DELETE FROM flows WHERE id IN (SELECT MIN(id) FROM flows WHERE time >= 10800)")
    found = differences(loaded)
    assert found.keys() == {FIRST, SECOND}
    assert found[FIRST].startswith("source ")
    assert "warehouse" in found[SECOND]


def test_digests_see_a_changed_value_that_counts_do_not(loaded: Platform) -> None:
    assert differences(loaded, by_rows=True) == {}
    loaded.query(
        "UPDATE flows SET byte_count = byte_count + 1 WHERE id IN (SELECT MIN(id) FROM flows WHERE time >= 21600)"
    )
    loaded.change_database(
        "UPDATE flows SET dst_port = '446' WHERE id = (SELECT MIN(id) FROM flows WHERE time > 10799)"
    )
    assert differences(loaded) == {}
    found = differences(loaded, by_rows=True)
    assert found.keys() == {SECOND, THIRD}
    assert all(words.startswith("other values: source ") for words in found.values())


def test_the_check_names_the_windows_and_the_sensor_runs_them_again(loaded: Platform) -> None:
    late_record(loaded)
    check = dg.define_asset_job("check", selection=dg.AssetSelection.checks(_check_key()))
    definitions = dg.Definitions.merge(loaded.definitions, dg.Definitions(jobs=[check]))
    run = definitions.resolve_job_def("check").execute_in_process(instance=loaded.instance, raise_on_error=False)
    (evaluation,) = run.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.metadata["differing"].value == 1
    assert f"- {FIRST}: source " in str(evaluation.metadata["differences"].value)

    sensor = loaded.definitions.resolve_sensor_def("flows_differing_windows")

    def tick() -> list[str | None]:
        context = dg.build_sensor_context(
            instance=loaded.instance, definitions=loaded.definitions, resources=loaded.resources._asdict()
        )
        return [request.partition_key for request in sensor.evaluate_tick(context).run_requests or []]

    assert tick() == [FIRST]
    assert loaded.run_windows(FIRST).success
    assert tick() == []
    assert differences(loaded, by_rows=True) == {}


def _check_key() -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey("flows"), "loaded_windows_match_source")


def test_the_ledger_ties_request_file_and_jobs(platform: Platform) -> None:
    assert platform.run_windows(FIRST).success
    late_record(platform)
    assert platform.run_windows(FIRST).success
    entries = ledger_of(platform.settings.files.windows / "flows").history(FIRST)
    assert [type(entry) for entry in entries] == [Fetched, Committed, Fetched, Committed]
    fetched, committed = entries[2], entries[3]
    assert isinstance(fetched, Fetched)
    assert isinstance(committed, Committed)
    assert fetched.file_sha256 == committed.file_sha256 != entries[0].file_sha256
    assert fetched.rows == committed.rows_committed == committed.rows_replaced + 1
    assert fetched.request == f"{platform.settings.stream_url}?scanned_before=10799&format=json"
    assert committed.merge_job


def test_the_commands_tell_it(loaded: Platform) -> None:
    settings = loaded.settings
    environment = {
        "FLOWS_HOME": str(settings.home),
        "FLOWS_DAYS": "1",
        "FLOWS_API_PORT": str(settings.api_port),
        "FLOWS_EMULATOR_PORT": str(settings.emulator_port),
        "FLOWS_EMULATOR_KEY_FILE": str(settings.emulator_key),
        "FLOWS_BIGQUERY_DATASET": settings.bigquery_dataset,
    }

    def flows(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows_platform", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    same = flows("verify", "--rows", "--partition", FIRST, "--partition", SECOND)
    assert (same.returncode, same.stderr) == (0, "")
    assert "2 windows" in same.stdout
    assert "by digest; 0 differ" in same.stdout
    late_record(loaded)
    other = flows("verify")
    assert other.returncode == 1
    assert f"DIFFERS  {FIRST}: source " in other.stdout
    assert "8 windows" in other.stdout
    assert len(flows("history", FIRST).stdout.splitlines()) == 2
    wrong = flows("verify", "--partition", "yesterday")
    assert wrong.returncode == 2
    assert "'yesterday' does not name a window" in wrong.stderr
