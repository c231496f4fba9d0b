"""Dagster runs a key once: a window whose run failed is requested by another key, however often it failed."""

from datetime import UTC, datetime, timedelta

from flows_platform.domain.wanted_windows import Failures
from flows_platform.orchestration.confirmations import after
from flows_platform.orchestration.window_history import FAILURES_COUNTED

START = datetime(2024, 3, 1, tzinfo=UTC)


def test_every_failure_makes_another_key() -> None:
    numbers = range(1, 3 * FAILURES_COUNTED)
    failed = [Failures(min(number, FAILURES_COUNTED), START + number * timedelta(minutes=2)) for number in numbers]
    keys = {after(one) for one in [None, *failed]}
    assert len(keys) == 1 + len(failed)
    assert after(None) == ""
