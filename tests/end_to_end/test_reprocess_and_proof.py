"""Windows proven by the source's own digest; quarantined records reprocessed through Dagster."""

from dataclasses import replace

import pytest

from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.window_files.ledger import Fetched, Recovered, ledger_of
from flows_platform.window_files.parquet import footer_of
from tests.end_to_end.conftest import MakePlatform, Platform
from tests.fetch.flow_bodies import json_body, row
from tests.fetch.scripted import answer, scripted_server

pytestmark = pytest.mark.slow

KEY = "2014-01-01-00:00"


def test_a_window_is_proven_by_the_digest_of_both_ends(make_platform: MakePlatform) -> None:
    platform = make_platform(verification="digest")
    assert platform.build_database().success
    platform.start_api()
    assert platform.run_windows(KEY).success
    figures = platform.metadata("flow_windows", KEY)
    assert figures["verification"] == "L3 digest"
    assert "digest=1" in str(figures["request"])
    (fetched, _) = ledger_of(platform.settings.files.windows / "flows").history(KEY)
    assert isinstance(fetched, Fetched)
    assert fetched.verification == "L3 digest"


def test_reprocessing_publishes_what_is_good_and_keeps_what_is_not(platform: Platform) -> None:
    window = flows_windows(platform.settings).grid.from_key(KEY)
    with scripted_server() as server, platform.windows() as pipeline:
        server.scripts = [answer(json_body([row(1), row(2, byte_count="many"), row(3)]))]
        elsewhere = replace(pipeline, api=replace(pipeline.api, url=server.url), max_rejected=1, max_rejected_share=1.0)
        assert elsewhere.fetch(window).file.rejected == 1
    job = platform.definitions.resolve_job_def("flows_reprocess_job")
    run = job.execute_in_process(instance=platform.instance, partition_key=KEY, raise_on_error=False)
    assert run.success
    figures = platform.metadata("flow_windows", KEY)
    assert (figures["rows"], figures["rejected"], figures["recovered"]) == (2, 1, 0)
    assert platform.query("SELECT COUNT(*) FROM flows") == [(2,)]
    assert footer_of(platform.settings.files.windows / "flows" / "2014-01-01-0000.parquet").rejected == 1
    kinds = [type(entry) for entry in ledger_of(platform.settings.files.windows / "flows").history(KEY)]
    assert kinds[:2] == [Fetched, Recovered]
