"""Each row of the table in docs/operations.md is shown by tests; here is which."""

import ast
from pathlib import Path

TABLE = "## What happened, what you see, what to do"
SHOWN_BY = {
    "A window failed": [
        "end_to_end/test_windows_run.py::test_a_bad_window_fails_alone_and_is_named",
        "end_to_end/test_window_notifications.py::test_a_window_that_fails_and_a_check_that_fails_are_told_with_what_to_do",
    ],
    "The API was down and is back": [
        "end_to_end/test_simulated_day.py::test_a_day_passes",
        "end_to_end/test_live_windows.py::test_a_window_that_failed_is_asked_for_again_after_pauses_that_double",
    ],
    "A stream ended early": [
        "pipeline/test_fetch_window.py::test_a_document_that_ends_early_is_refused_though_the_transfer_ends_cleanly",
        "pipeline/test_fetch_window.py::test_a_transfer_cut_at_any_byte_is_refused",
    ],
    "Records do not fit the schema": [
        "pipeline/test_fetch_window.py::test_a_bad_record_is_quarantined_whole_and_counted",
        "end_to_end/test_reprocess_and_proof.py::test_reprocessing_publishes_what_is_good_and_keeps_what_is_not",
    ],
    "Records came late": ["end_to_end/test_automation.py::test_the_sensor_asks_for_windows_that_closed_or_changed"],
    "Rows of the table were changed by hand": [
        "end_to_end/test_drift.py::test_the_check_names_the_windows_and_the_sensor_runs_them_again"
    ],
    "A value differs": ["end_to_end/test_drift.py::test_digests_see_a_changed_value_that_counts_do_not"],
    "A window would lose": [
        "end_to_end/test_shrinking_windows.py::test_one_false_zero_takes_no_row",
        "end_to_end/test_shrinking_windows.py::test_a_waiting_window_is_told_and_healed",
    ],
    "A window file was damaged": [
        "end_to_end/test_damaged_window_files.py::test_no_flipped_bit_is_published_counted_verified_or_reprocessed"
    ],
    "The run was killed": ["faults/test_convergence.py::test_a_window_is_old_or_new_and_a_rerun_converges"],
    "The run was stopped by hand": [
        "end_to_end/test_fetch_ahead.py::test_a_stopped_run_does_not_wait_for_the_window_being_fetched"
    ],
    "The machine went down": [
        "cli/commands/test_instance.py::test_runs_without_a_process_are_failed_and_others_left_alone"
    ],
    "API server, emulator, code server, UI or daemon crashed": [
        "local/test_restarts.py::test_a_killed_child_is_started_again_and_that_is_said",
        "local/test_restarts.py::test_a_child_that_runs_but_serves_no_more_is_ended_and_started_again",
        "local/test_restarts.py::test_a_child_that_keeps_crashing_ends_it_with_its_last_lines",
        "ui/test_backfill_graphql.py::test_a_backfill_goes_on_when_the_daemon_was_killed",
        "ui/test_backfill_graphql.py::test_a_backfill_in_which_the_code_server_was_killed_loses_nothing",
    ],
    "A port is taken": ["end_to_end/test_dev.py::test_a_taken_port_is_told_before_anything_starts"],
    "The warehouse does not answer": [
        "warehouse/test_warehouse.py::test_a_warehouse_that_does_not_answer_is_unavailable",
        (
            "warehouse/test_faults.py::"
            "test_an_emulator_killed_between_stage_and_merge_keeps_the_old_window_and_a_rerun_converges"
        ),
    ],
    "The table has other columns": [
        "warehouse/test_warehouse.py::test_ensuring_a_table_again_is_fine_and_one_that_differs_is_named"
    ],
    "Another machine publishes": [
        "warehouse/test_faults.py::test_publishers_of_one_window_at_once_leave_its_rows_once_and_merge_one_by_one",
        "warehouse/test_faults.py::test_a_statement_starts_after_the_one_that_another_machine_has_running",
    ],
    "Dagster's *Freshness*": [
        "end_to_end/test_overdue_windows.py::test_overdue_windows_are_named_also_while_the_api_is_down",
        "orchestration/test_lag_reports.py::test_forty_windows_behind_is_shown_as_forty_everywhere",
        "orchestration/notifications/test_notifications.py::test_a_stale_table_is_told_until_it_is_fresh",
    ],
    "The notification URL does not answer": [
        "orchestration/notifications/test_notifications.py::test_what_is_not_taken_is_sent_later_and_once",
        "orchestration/notifications/test_notifications.py::test_a_receiver_that_is_not_there_is_not_named",
    ],
    "A secret is wrong": [
        "end_to_end/test_yaml_threat_feed.py::test_waits_and_refusals",
        "faults/test_client_secrets.py::test_no_artefact_holds_a_secret",
    ],
}


def rows() -> list[str]:
    """The first cell of each row."""
    table = Path("docs/operations.md").read_text().partition(TABLE)[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def test_every_row_has_its_tests_and_every_test_is_there() -> None:
    named = {row: [begin for begin in SHOWN_BY if row.startswith(begin)] for row in rows()}
    assert {row: len(found) for row, found in named.items()} == dict.fromkeys(named, 1)
    assert len(named) == len(SHOWN_BY)
    for path, _, name in (test.partition("::") for tests in SHOWN_BY.values() for test in tests):
        tree = ast.parse(Path("tests", path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, path
